package access

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNew(t *testing.T) {
	t.Run("names all problems at once", func(t *testing.T) {
		_, err := New(Options{Base: "kyu/", Users: write(t, "users", "a:b:c\n"),
			Tokens: "/nonexistent", Key: []byte("short"), Origins: []string{"x"},
			Proxy: Proxy{Header: "X-User"}})
		for _, part := range []string{"base path", "users, line 1", "/nonexistent",
			"key has 5 bytes",
			"invalid origin", "--proxy-from"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("the error lacks %q: %v", part, err)
			}
		}
	})
	t.Run("takes base paths without a slash at the end", func(t *testing.T) {
		for base, fits := range map[string]bool{"": true, "/kyu": true, "/a/b-c": true, "/": false,
			"/kyu/": false, "kyu": false, "//evil": false, "/a b": false, "/{x}": false} {
			if _, err := New(Options{Base: base}); (err == nil) != fits {
				t.Errorf("%q: %v", base, err)
			}
		}
	})
}

func TestRoutes(t *testing.T) {
	t.Run("are the sign-in pages only if there are users", func(t *testing.T) {
		names := func(a *Access) (list []string) {
			for _, r := range a.Routes() {
				list = append(list, r.Method+" "+r.Path)
			}
			return list
		}
		all := []string{"GET /kyu/access.css", "GET /kyu/login", "POST /kyu/login",
			"POST /kyu/logout"}
		if got := names(usersOf(t, Options{Base: "/kyu"}, userLine("a", Admin))); !slices.Equal(got,
			all) {
			t.Errorf("they are %v", got)
		}
		if got := names(open(t, Options{Base: "/kyu"})); !slices.Equal(got, all[:1]) {
			t.Errorf("without users they are %v", got)
		}
	})
	t.Run("can be put into a mux of one's own", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		mux := http.NewServeMux()
		for _, r := range a.Routes() {
			mux.Handle(r.Method+" "+r.Path, r)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/login", nil))
		answered(t, w, 200, `<label for="password">Password</label>`)
	})
}

func TestWrap(t *testing.T) {
	t.Run("works with a browser over TLS, from the sign-in to the sign-out", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Operator))
		server := httptest.NewTLSServer(a.Wrap(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Write([]byte(From(r.Context()).Name))
		})))
		defer server.Close()
		jar, _ := cookiejar.New(nil)
		client := server.Client()
		client.Jar = jar
		defer client.CloseIdleConnections()
		do := func(method, path string, form url.Values, want string) {
			t.Helper()
			r, _ := http.NewRequestWithContext(t.Context(), method, server.URL+path,
				strings.NewReader(form.Encode()))
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Origin", server.URL)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body := make([]byte, 4096)
			n, _ := response.Body.Read(body)
			if got := string(body[:n]); !strings.Contains(got, want) {
				t.Errorf("%s %s: %d %s", method, path, response.StatusCode, got)
			}
		}
		do("GET", "/queues", nil, `name="password"`)
		do("POST", "/login", url.Values{"name": {"alice"}, "password": {password},
			"next": {"/queues"}}, "alice")
		do("GET", "/queues", nil, "alice")
		if cookies := jar.Cookies(mustParse(t, server.URL)); len(cookies) != 1 ||
			cookies[0].Name != secureCookie {
			t.Errorf("the browser has the cookies %v", cookies)
		}
		do("POST", "/logout", nil, `name="password"`)
		do("GET", "/queues", nil, `name="password"`)
	})
	t.Run("knows a proxy behind a real Unix socket", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"unix", "10.0.0.0/8"} {
			a := open(t, Options{Proxy: Proxy{From: []string{from}, Header: "X-User",
				Role: Viewer}})
			server := &httptest.Server{Listener: listener, Config: &http.Server{
				Handler: a.Wrap(http.NotFoundHandler())}}
			server.Start()
			client := &http.Client{Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "unix", path)
				}}}
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://kyu/", nil)
			r.Header.Set("X-User", "alice")
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			client.CloseIdleConnections()
			server.Close()
			if want := map[string]int{"unix": 404, "10.0.0.0/8": 403}[from]; response.StatusCode !=
				want {
				t.Errorf("from %s: %d, want %d", from, response.StatusCode, want)
			}
			if listener, err = net.Listen("unix", path); err != nil {
				t.Fatal(err)
			}
		}
		listener.Close()
	})
	t.Run("serves many at once while files change", func(t *testing.T) {
		token, line, _ := NewToken("ci", Viewer)
		tokens := write(t, "tokens", line+"\n")
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{Tokens: tokens}, userLine("alice", Admin),
				userLine("bob", Viewer))
			c := cookie(signedIn(t, a, "alice"))
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 20 {
						answered(t, serve(a, "GET", "/", c), 200, "admin alice")
						answered(t, serve(a, "GET", "/", header("Authorization", "Bearer "+token)),
							200, "viewer ci")
						form(a, "mallory", "wrong", "/", remote("203.0.113.5:1"))
						if i == 0 {
							serve(a, "POST", "/logout", cookie(signedIn(t, a, "bob")))
						}
						time.Sleep(300 * time.Millisecond)
					}
				})
			}
			wg.Go(func() {
				for range 6 {
					replace(t, a.options.Users, userLine("alice", Admin)+userLine("bob", Operator))
					time.Sleep(500 * time.Millisecond)
					replace(t, a.options.Users, userLine("alice", Admin)+userLine("bob", Viewer))
					time.Sleep(500 * time.Millisecond)
				}
			})
			wg.Wait()
		})
	})
	t.Run("keeps the connection's details for the page", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/", nil)
		r.TLS = &tls.ConnectionState{ServerName: "kyu.example"}
		r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
		seen := ""
		open(t, Options{}).Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen = r.TLS.ServerName + " " + From(r.Context()).Name
		})).ServeHTTP(httptest.NewRecorder(), r)
		if seen != "kyu.example local" {
			t.Errorf("the page sees %q", seen)
		}
	})
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
