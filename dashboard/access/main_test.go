package access

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
)

func TestMain(m *testing.M) {
	hashCost, minCost = bcrypt.MinCost, bcrypt.MinCost
	goleak.VerifyTestMain(m)
}

const password = "correct horse"

// cheapHash is a hash of password, of the least cost that a users file may have.
var cheapHash = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), minCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
})

// userLine is the line of a user whose password is password.
func userLine(name string, role Role) string {
	return fmt.Sprintf("%s:%s:%s\n", name, role, cheapHash())
}

// write writes a file that only its owner can read.
func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace replaces a file in one step, as editors and tools do.
func replace(t *testing.T, path, text string) {
	t.Helper()
	rewrite(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, o Options) *Access {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// change is a change of a request.
type change = func(*http.Request)

func header(name, value string) change {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func host(host string) change { return func(r *http.Request) { r.Host = host } }

func remote(addr string) change { return func(r *http.Request) { r.RemoteAddr = addr } }

func cookie(c *http.Cookie) change { return func(r *http.Request) { r.AddCookie(c) } }

var html = header("Accept", "text/html,*/*")

// serve sends a request of 127.0.0.1 with Host localhost:9292 to a handler that answers with the
// person's role and name.
func serve(a *Access, method, target string, changes ...change) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	return send(a, r, changes...)
}

func send(a *Access, r *http.Request, changes ...change) *httptest.ResponseRecorder {
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:9292"
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := From(r.Context())
		fmt.Fprintf(w, "%s %s", p.Role, p.Name)
	})).ServeHTTP(w, r)
	return w
}

// form sends the form of the sign-in page.
func form(a *Access, name, password, next string, changes ...change) *httptest.ResponseRecorder {
	body := "name=" + name + "&password=" + password + "&next=" + next
	r := httptest.NewRequest("POST", a.options.Base+"/login", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(a, r, changes...)
}

// signedIn signs in, and returns the cookie.
func signedIn(t *testing.T, a *Access, name string, changes ...change) *http.Cookie {
	t.Helper()
	w := form(a, name, password, "/", changes...)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("sign-in: %d %s", w.Code, w.Body)
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge > 0 {
			return c
		}
	}
	t.Fatal("the sign-in set no cookie")
	return nil
}

// answered checks the status and a part of the body.
func answered(t *testing.T, w *httptest.ResponseRecorder, status int, part string) {
	t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), part) {
		t.Errorf("the answer is %d %q, want %d with %q", w.Code, w.Body, status, part)
	}
}
