package jobs_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/jobs"
)

// object is the body of an ActivityStreams object, with a number that a float changes.
func object(id string) string {
	return fmt.Sprintf(`{"id":%q,"n":12345678901234567890,"x":1.0}`, id)
}

// origin is a server of ActivityStreams objects, good and bad. It counts requests by path.
type origin struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

func newOrigin(t *testing.T) *origin {
	o := &origin{asked: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/good", o.good)
	// The id of the object at each path is another path.
	for path, id := range map[string]string{"/short": "/good", "/liar": "/liar2",
		"/liar2": "/good", "/@日本": "/@日本"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { o.send(w, id) })
	}
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		// /moved/3 is three redirects away from /moved/0.
		if n := strings.TrimPrefix(r.URL.Path, "/moved/"); n != "0" {
			http.Redirect(w, r, "/moved/"+string(n[0]-1), http.StatusFound)
			return
		}
		o.send(w, "/moved/0")
	})
	for path, to := range map[string]string{"/page": "/short", "/page/twice": "/page",
		"/page/forbidden": "https://127.0.0.1:1/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<link rel="alternate" type="application/activity+json" href="%s">`, to)
		})
	}
	for path, answer := range map[string][2]string{"/html": {"text/html", "<html>"},
		"/plain":  {"application/json", `{"id":"PLAIN"}`},
		"/broken": {"application/activity+json", `{"id":`}} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", answer[0])
			fmt.Fprint(w, strings.ReplaceAll(answer[1], "PLAIN", o.URL+"/plain"))
		})
	}
	mux.HandleFunc("/bomb", bomb)
	for path, body := range forged {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/activity+json")
			fmt.Fprint(w, strings.ReplaceAll(body, "HERE", o.URL+path))
		})
	}
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/status/"), &code)
		w.WriteHeader(code)
	})
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked[r.URL.Path]++
		o.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// send answers with the object whose id is a path of this server.
func (o *origin) send(w http.ResponseWriter, id string) {
	w.Header().Set("Content-Type",
		`application/ld+json; profile="https://www.w3.org/ns/activitystreams"`)
	fmt.Fprint(w, object(o.URL+id))
}

// good answers a conditional request as it asks.
func (o *origin) good(w http.ResponseWriter, r *http.Request) {
	const tag, modified = `"v1"`, "Sun, 05 Jan 2014 21:31:40 GMT"
	if r.Header.Get("If-None-Match") == tag && r.Header.Get("If-Modified-Since") == modified {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Last-Modified", modified)
	o.send(w, "/good")
}

// bomb answers with 64 MB that are a few kilobytes compressed: 64 times the same 1 MB, because to
// compress all of it takes longer than the request may, on a busy machine.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/activity+json")
	w.Header().Set("Content-Encoding", "gzip")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(make([]byte, 1<<20))
	z.Close()
	w.Write(bytes.Repeat(b.Bytes(), 64))
}

func (o *origin) requests(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

func TestFetch(t *testing.T) {
	all := newSite(t)
	o := newOrigin(t)
	f := &jobs.Resources{DB: all.db, HTTP: all.http, Log: all.slog}
	fetch := func(t *testing.T, path string) error {
		return f.Fetch(t.Context(), jobs.Resource{URL: o.URL + path})
	}
	stored := func(s *site) int { return s.count("SELECT count(*) FROM kyu_resources") }
	t.Run("stores the bytes of an object once", func(t *testing.T) {
		s := all.With(t)
		for range 2 { // the second answer is 304
			if err := fetch(t, "/good"); err != nil || stored(s) != 1 {
				t.Fatalf("%v, %d stored", err, stored(s))
			}
		}
		if n := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1 AND body::text = $2 "+
			"AND etag = '\"v1\"'", o.URL+"/good", object(o.URL+"/good")); n != 1 {
			t.Error("the row differs from the answer")
		}
	})
	t.Run("goes to the object's own id", func(t *testing.T) {
		s := all.With(t)
		if err := fetch(t, "/short"); err != nil || stored(s) != 1 {
			t.Errorf("%v, %d stored", err, stored(s))
		}
		if n := o.requests("/good"); n != 3 {
			t.Errorf("%d requests to the id", n)
		}
	})
	for path, want := range map[string]string{"/liar": "done", "/html": "done", "/plain": "done",
		"/broken": "done", "/bomb": "done", "/status/404": "done", "/status/410": "done",
		"/status/403": "done", "/status/304": "retry", "/status/500": "retry",
		"/status/429": "retry", "/status/503": "retry", "/moved/4": "retry"} {
		t.Run(path+" stores nothing: "+want, func(t *testing.T) {
			s := all.With(t)
			if err := fetch(t, path); outcome(err) != want || stored(s) != 1 {
				t.Errorf("%v, %d stored", err, stored(s))
			}
		})
	}
	t.Run("follows three redirects", func(t *testing.T) {
		s := all.With(t)
		if err := fetch(t, "/moved/3"); err != nil {
			t.Error(err)
		}
		if n := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1",
			o.URL+"/moved/0"); n != 1 {
			t.Errorf("%d objects stored under the last URL", n)
		}
	})
}

func TestFetchedPage(t *testing.T) {
	all := newSite(t)
	o := newOrigin(t)
	f := &jobs.Resources{DB: all.db, HTTP: all.http, Log: all.slog}
	for _, c := range []struct {
		name, path   string
		want, stored int // requests for the object, and objects
	}{{"whose link leads to another page ends the job", "/page/twice", 0, 0},
		{"whose link is forbidden ends the job", "/page/forbidden", 0, 0},
		{"leads to its object, and to the object's id", "/page", 1, 1}} {
		t.Run(c.name, func(t *testing.T) {
			s := all.With(t)
			err := f.Fetch(t.Context(), jobs.Resource{URL: o.URL + c.path})
			stored := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1", o.URL+"/good")
			if n := o.requests("/good"); n != c.want || stored != c.stored || err != nil {
				t.Errorf("%d requests, %d objects stored (%v)", n, stored, err)
			}
		})
	}
}

// secure is a server that gives its object only to the instance actor of home.example.
func secure(t *testing.T, key *rsa.PublicKey) *httptest.Server {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := httpsig.Verify(r, nil, func(string) (crypto.PublicKey, error) {
			return key, nil
		}, time.Now())
		switch {
		case err != nil || id != "https://home.example/actor#main-key":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/note", http.StatusFound)
		default:
			w.Header().Set("Content-Type", "application/activity+json")
			fmt.Fprint(w, object(server.URL+"/note"))
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestSignedFetch(t *testing.T) {
	all := newSite(t)
	server := secure(t, &all.account(-99, "home.example").PublicKey)
	unsigned := &jobs.Resources{DB: all.db, HTTP: all.http, Log: all.slog}
	signed := *unsigned
	signed.Actors = jobs.NewActors(all.db, all.redis, "home.example")
	for _, c := range []struct {
		name, path string
		by         *jobs.Resources
		stored     int
	}{{"is refused without a signature", "/note", unsigned, 0},
		{"is signed again after a redirect", "/moved", &signed, 1},
		{"has the key of the instance actor", "/note", &signed, 1}} {
		t.Run(c.name, func(t *testing.T) {
			s := all.With(t)
			err := c.by.Fetch(t.Context(), jobs.Resource{URL: server.URL + c.path})
			if n := s.count("SELECT count(*) FROM kyu_resources"); n != c.stored || err != nil {
				t.Errorf("%d objects stored, want %d (%v)", n, c.stored, err)
			}
		})
	}
	t.Run("without a key says what to do", func(t *testing.T) {
		all.With(t).exec("UPDATE accounts SET private_key = NULL")
		signed.Actors = jobs.NewActors(all.db, all.redis, "home.example")
		err := signed.Fetch(t.Context(), jobs.Resource{URL: server.URL + "/note"})
		if err == nil || !strings.Contains(err.Error(), "SIGN_FETCHES") {
			t.Error(err)
		}
	})
}
