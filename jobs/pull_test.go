package jobs_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestAnObjectIsStoredUnderItsOwnAddressAlone(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	asked := map[string]int{}
	var base string
	object := func(w http.ResponseWriter, id string) {
		w.Header().Set("Content-Type",
			`application/ld+json; profile="https://www.w3.org/ns/activitystreams"`)
		fmt.Fprintf(w, `{"id":%q,"n":12345678901234567890,"x":1.0}`, id)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` &&
			r.Header.Get("If-Modified-Since") == "Sun, 05 Jan 2014 21:31:40 GMT" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sun, 05 Jan 2014 21:31:40 GMT")
		object(w, base+"/good")
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) {
		object(w, base+"/good")
	})
	mux.HandleFunc("/liar", func(w http.ResponseWriter, _ *http.Request) {
		object(w, base+"/liar2")
	})
	mux.HandleFunc("/liar2", func(w http.ResponseWriter, _ *http.Request) {
		object(w, base+"/good")
	})
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		// /moved/3 is three redirects away
		if n := r.URL.Path[len("/moved/"):]; n != "0" {
			http.Redirect(w, r, "/moved/"+string(n[0]-1), http.StatusFound)
			return
		}
		object(w, base+"/moved/0")
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>")
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%q}`, base+"/plain")
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/activity+json")
		fmt.Fprint(w, `{"id":`)
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/activity+json")
		w.Header().Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(make([]byte, 64<<20))
		z.Close()
		w.Write(b.Bytes())
	})
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.URL.Path[len("/status/"):], &code)
		w.WriteHeader(code)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	base = server.URL
	f := &jobs.Resources{DB: s.db, HTTP: s.http, Log: s.slog}
	fetch := func(path string) error {
		return f.Fetch(t.Context(), jobs.Resource{URL: base + path})
	}
	stored := func() int { return s.count("SELECT count(*) FROM kyu_resources") }
	for range 2 {
		if err := fetch("/good"); err != nil || stored() != 1 {
			t.Fatal(err)
		}
	}
	if n := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1 AND body::text = $2 AND "+
		"etag = '\"v1\"'", base+"/good", fmt.Sprintf(`{"id":%q,"n":12345678901234567890,"x":1.0}`,
		base+"/good")); n != 1 {
		t.Error("the bytes are not those that came")
	}
	if err := fetch("/short"); err != nil || stored() != 1 || asked["/good"] != 3 {
		t.Errorf("an object that is at home elsewhere is asked there: %v", err)
	}
	for _, path := range []string{"/liar", "/html", "/plain", "/broken", "/bomb", "/status/404",
		"/status/410", "/status/403", "/status/304"} {
		err := fetch(path)
		if want := map[bool]string{true: "retry",
			false: "done"}[path == "/status/304"]; outcome(err) != want || stored() != 1 {
			t.Errorf("%s: %v, %d stored", path, err, stored())
		}
	}
	for path, want := range map[string]string{"/moved/3": "done", "/status/500": "retry",
		"/status/429": "retry", "/status/503": "retry", "/moved/4": "retry"} {
		if err := fetch(path); outcome(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if s.count("SELECT count(*) FROM kyu_resources WHERE url = $1", base+"/moved/0") != 1 {
		t.Error("after three redirects nothing is stored where it is at home")
	}
}

func TestALinkIsPreviewedOnceForAll(t *testing.T) {
	s := newSite(t)
	var seen, status atomic.Int64
	status.Store(200)
	gate := make(chan struct{})
	pages := map[string]string{
		"/og": `<html><head><title>no</title><meta property="og:title" content="A &amp; B">` +
			`<meta content=" two
			lines " property="og:description"><meta property="og:image" content="/a.png"></head>` +
			`<body><meta property="og:title" content="body"></body>`,
		"/title":  `<title>Just a title</title>`,
		"/sjis":   "<meta charset=shift_jis><title>\x93\xfa\x96{</title>",
		"/none":   `<p>nothing</p>`,
		"/script": `<title>x</title><meta property="og:image" content="javascript:alert(1)">`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		if r.URL.Path == "/gate" {
			<-gate
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, pages[r.URL.Path])
	}))
	defer server.Close()
	p := &jobs.Previews{DB: s.db, Redis: s.redis, Cache: s.redis, HTTP: s.http,
		Log: s.slog, Jitter: -1}
	look := func(status int64, path string) error {
		return p.Preview(t.Context(), jobs.LinkPreview{StatusID: status, URL: server.URL + path})
	}
	for id := range int64(3) {
		if err := look(id, "/og"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.count(`SELECT count(*) FROM preview_cards c
		JOIN preview_cards_statuses l ON l.preview_card_id = c.id
		JOIN kyu_preview_images i ON i.preview_card_id = c.id
		WHERE c.title = 'A & B' AND c.description = 'two lines' AND i.url = $1`,
		server.URL+"/a.png"); n != 3 || seen.Load() != 1 {
		t.Errorf("%d cards of 3 statuses, %d requests", n, seen.Load())
	}
	s.exec("UPDATE preview_cards SET updated_at = updated_at - interval '15 days'")
	if err := look(4, "/og"); err != nil || seen.Load() != 2 {
		t.Errorf("an old card is not looked at again: %v", err)
	}
	for path, want := range map[string]string{"/title": "Just a title", "/sjis": "日本",
		"/script": "x"} {
		if err := look(1, path); err != nil || s.count("SELECT count(*) FROM preview_cards WHERE "+
			"url = $1 AND title = $2", server.URL+path, want) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if s.count("SELECT count(*) FROM kyu_preview_images WHERE url LIKE 'javascript%'") != 0 {
		t.Error("an image that is no URL")
	}
	before := seen.Load()
	for range 3 {
		if err := look(1, "/none"); err != nil {
			t.Error(err)
		}
	}
	if seen.Load() != before+1 {
		t.Error("a page without a preview is asked again and again")
	}
	for code, want := range map[int64]string{404: "done", 500: "retry"} {
		status.Store(code)
		if err := look(1, fmt.Sprint("/", code)); outcome(err) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
	status.Store(200)
	ended := make(chan error)
	before = seen.Load()
	go func() { ended <- look(1, "/gate") }()
	testwait.Until(t, 5*time.Second, "the first looks", func() bool { return seen.Load() > before })
	if err := look(2, "/gate"); outcome(err) != "snooze" {
		t.Errorf("two look at one page at once: %v", err)
	}
	close(gate)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if keys := s.redis.Keys(t.Context(), "kyu:lock:*").Val(); len(keys) != 0 {
		t.Error("locks stay:", keys)
	}
}

func TestJobsForOneLinkSpreadOut(t *testing.T) {
	s := newSite(t)
	p := &jobs.Previews{DB: s.db, Redis: s.redis, Cache: s.redis, HTTP: s.http, Log: s.slog}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	a := jobs.LinkPreview{StatusID: 1, URL: closed.URL}
	now := float64(time.Now().UnixMilli()) / 1000
	put := 0
	for i := range 20 {
		err := p.Preview(run(t,
			`{"class":"LinkPreviewWorker","jid":"j%d","created_at":%f,"args":[]}`, i, now), a)
		if outcome(err) == "snooze" {
			put++
		}
	}
	if put < 15 {
		t.Errorf("%d of 20 wait for their moment", put)
	}
	err := p.Preview(run(t, `{"class":"LinkPreviewWorker","jid":"j1","created_at":%f,"args":[]}`,
		now-61), a)
	if outcome(err) != "retry" || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after a minute it goes: %v", err)
	}
}
