package dashboard_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roles is an Access that believes the header X-Role.
type roles struct{}

func (roles) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, _ := access.ParseRole(r.Header.Get("X-Role"))
		p := access.Person{Name: "ada", Role: role}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), p)))
	})
}

// fixture is a dashboard on a Redis of its own. Its person is an admin who reads English.
type fixture struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	in     *inspect.Inspector
	d      *dashboard.Dashboard
	role   string
	lang   string
}

func newFixture(t *testing.T, change ...func(*dashboard.Options)) *fixture {
	t.Helper()
	s := redistest.Start(t)
	f := &fixture{T: t, server: s, raw: s.Client(), store: s.Store(), role: "admin", lang: "en"}
	f.in = inspect.New(f.store)
	f.d = f.open(change...)
	return f
}

// open returns another dashboard on the same Redis.
func (f *fixture) open(change ...func(*dashboard.Options)) *dashboard.Dashboard {
	f.Helper()
	o := dashboard.Options{Store: f.store, Inspector: f.in, Access: roles{},
		Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	d, err := dashboard.New(o)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(d.Close)
	d.SetPatience(time.Minute) // so that acts of a slow machine end before their answers
	return d
}

// sub returns the fixture for a subtest.
func (f *fixture) sub(t *testing.T) *fixture {
	sub := *f
	sub.T = t
	return &sub
}

// request makes a request of the person.
func (f *fixture) request(method, path string, form ...string) *http.Request {
	r := httptest.NewRequestWithContext(f.Context(), method, path,
		strings.NewReader(strings.Join(form, "&")))
	if len(form) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("X-Role", f.role)
	r.Header.Set("Accept-Language", f.lang)
	return r
}

// do sends a request.
func (f *fixture) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	f.d.ServeHTTP(w, r)
	return w.Result()
}

// send sends a request. form is nil for a request without one.
func (f *fixture) send(method, path string, form url.Values,
	cookies ...*http.Cookie) *http.Response {
	r := f.request(method, path)
	if form != nil {
		r = f.request(method, path, form.Encode())
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return f.do(r)
}

// get returns the page of a path, and checks its status.
func (f *fixture) get(path string, status int) string {
	f.Helper()
	answer := f.send("GET", path, nil)
	same(f, "status of "+path, answer.StatusCode, status)
	return body(answer)
}

// post sends a form, checks that the answer leads to a page, and returns the page with its line.
func (f *fixture) post(path string, form url.Values) (to, page string) {
	f.Helper()
	answer := f.send("POST", path, form)
	if answer.StatusCode != http.StatusSeeOther {
		f.Fatalf("POST %s: status %d, want 303: %s", path, answer.StatusCode, body(answer))
	}
	to = answer.Header.Get("Location")
	return to, body(f.send("GET", to, nil, answer.Cookies()...))
}

// body is the body of an answer of a recorder, which is read without an error.
func body(r *http.Response) string {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// has checks that a page shows texts.
func (f *fixture) has(page string, texts ...string) {
	f.Helper()
	for _, text := range texts {
		if !strings.Contains(page, html.EscapeString(text)) {
			f.Errorf("the page does not have %q:\n%s", text, page)
		}
	}
}

// lacks checks that a page does not show texts.
func (f *fixture) lacks(page string, texts ...string) {
	f.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			f.Errorf("the page has %q:\n%s", text, page)
		}
	}
}

// fields are the fields of a payload.
type fields map[string]any

// payload is a job as JSON. created is when it came.
func payload(jid, class, q string, created time.Time, more fields) string {
	all := fields{"jid": jid, "class": class, "queue": q, "args": []any{jid, "arg-" + jid},
		"retry": true, "created_at": float64(created.UnixMilli()) / 1000,
		"enqueued_at": float64(created.UnixMilli()) / 1000}
	for key, value := range more {
		all[key] = value
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// put puts n jobs into a set. Their JIDs are prefix0, prefix1, ….
func (f *fixture) put(key, prefix string, n int, at time.Time) {
	f.Helper()
	old := time.Now().Add(-time.Hour)
	for i := 0; i < n; {
		var page []redis.Z
		for ; i < n && len(page) < 1000; i++ {
			page = append(page, redis.Z{Score: float64(at.Unix() + int64(i)),
				Member: payload(fmt.Sprint(prefix, i), "Job", "a", old, fields{"retry_count": 2,
					"failed_at": float64(old.Unix()), "error_class": "Boom",
					"error_message": "it broke"})})
		}
		f.must(f.raw.ZAdd(f.Context(), key, page...).Err())
	}
}

// enqueue puts n jobs into a queue.
func (f *fixture) enqueue(q string, n int) {
	f.Helper()
	f.must(f.raw.SAdd(f.Context(), "queues", q).Err())
	for i := range n {
		f.must(f.raw.LPush(f.Context(), "queue:"+q, payload(fmt.Sprint(q, i), "Job", q,
			time.Now().Add(-time.Hour), nil)).Err())
	}
}

// process writes the record of a live process of Ruby that runs a job.
func (f *fixture) process(identity string, info fields, work string) {
	f.Helper()
	b, err := json.Marshal(info)
	f.must(err)
	f.must(f.raw.SAdd(f.Context(), "processes", identity).Err())
	f.must(f.raw.HSet(f.Context(), identity, "info", b, "busy", 1, "beat", time.Now().Unix(),
		"quiet", "false", "rss", 2048).Err())
	run, err := json.Marshal(fields{"queue": "a", "run_at": time.Now().Unix() - 42,
		"payload": work})
	f.must(err)
	f.must(f.raw.HSet(f.Context(), identity+":work", "tid1", run).Err())
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// size checks how many jobs a set has.
func (f *fixture) size(key string, want int64) {
	f.Helper()
	n, err := f.raw.ZCard(f.Context(), key).Result()
	f.must(err)
	same(f, "size of "+key, n, want)
}

// audited checks the last act of the audit.
func (f *fixture) audited(command, what string) {
	f.Helper()
	acts, err := f.in.Acts(f.Context(), 1)
	f.must(err)
	if len(acts) != 1 || acts[0].By != "ada" || acts[0].Command != command ||
		!strings.Contains(acts[0].What, what) {
		f.Errorf("the last act is %+v, want ada, %q, %q", acts, command, what)
	}
}

// same checks a value.
func same[T comparable](t testing.TB, name string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// z is a member of a set.
func z(at time.Time, member string) redis.Z {
	return redis.Z{Score: float64(at.Unix()), Member: member}
}
