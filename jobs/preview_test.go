package jobs_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

var pages = map[string]string{
	"/og": `<html><head><title>no</title><meta property="og:title" content="A &amp; B">` +
		`<meta content=" two
		lines " property="og:description"><meta property="og:image" content="/a.png"></head>` +
		`<body><meta property="og:title" content="body"></body>`,
	"/title":  `<title>Just a title</title>`,
	"/sjis":   "<meta charset=shift_jis><title>\x93\xfa\x96{</title>",
	"/none":   `<p>nothing</p>`,
	"/script": `<title>x</title><meta property="og:image" content="javascript:alert(1)">`,
}

// linked is a server of pages. /gate answers only when gate is closed.
type linked struct {
	*httptest.Server
	seen, status atomic.Int64
	gate         chan struct{}
}

func newLinked(t *testing.T) *linked {
	l := &linked{gate: make(chan struct{})}
	l.status.Store(200)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.seen.Add(1)
		if r.URL.Path == "/gate" {
			<-l.gate
		}
		w.Header().Set("Content-Type", cmp.Or(r.URL.Query().Get("type"), "text/html"))
		w.WriteHeader(int(l.status.Load()))
		fmt.Fprint(w, pages[r.URL.Path])
	}))
	t.Cleanup(l.Close)
	return l
}

// previews makes the previews of a worker; jitter as in jobs.Previews.
func (s *site) previews(jitter time.Duration) *jobs.Previews {
	return &jobs.Previews{DB: s.db, Redis: s.redis, Cache: s.redis, HTTP: s.http, Log: s.slog,
		Jitter: jitter}
}

func TestPreview(t *testing.T) {
	all := newSite(t)
	l := newLinked(t)
	p := all.previews(-1)
	preview := func(t *testing.T, status int64, path string) error {
		return p.Preview(t.Context(), jobs.LinkPreview{StatusID: status, URL: l.URL + path})
	}
	t.Run("fetches a page once for all statuses", func(t *testing.T) {
		s := all.With(t)
		for id := range int64(3) {
			if err := preview(t, id, "/og"); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.count(`SELECT count(*) FROM preview_cards c
			JOIN preview_cards_statuses l ON l.preview_card_id = c.id
			JOIN kyu_preview_images i ON i.preview_card_id = c.id
			WHERE c.title = 'A & B' AND c.description = 'two lines' AND i.url = $1`,
			l.URL+"/a.png"); n != 3 || l.seen.Load() != 1 {
			t.Errorf("%d cards of 3 statuses, %d requests", n, l.seen.Load())
		}
	})
	t.Run("fetches it again after two weeks", func(t *testing.T) {
		all.With(t).exec("UPDATE preview_cards SET updated_at = updated_at - interval '15 days'")
		before := l.seen.Load()
		if err := preview(t, 4, "/og"); err != nil || l.seen.Load() != before+1 {
			t.Errorf("%v after %d requests", err, l.seen.Load()-before)
		}
	})
	for path, want := range map[string]string{"/title": "Just a title", "/sjis": "日本",
		"/script": "x"} {
		t.Run("has the title of "+path, func(t *testing.T) {
			err := preview(t, 1, path)
			if n := all.With(t).count("SELECT count(*) FROM preview_cards WHERE url = $1 AND "+
				"title = $2", l.URL+path, want); err != nil || n != 1 {
				t.Errorf("%v, %d cards", err, n)
			}
		})
	}
	t.Run("takes no script for an image", func(t *testing.T) {
		if n := all.With(t).count("SELECT count(*) FROM kyu_preview_images WHERE url LIKE " +
			"'javascript%'"); n != 0 {
			t.Errorf("%d scripts", n)
		}
	})
}

func TestPage(t *testing.T) {
	all := newSite(t)
	l := newLinked(t)
	preview := func(t *testing.T, status int64, path string) error {
		return all.previews(-1).Preview(t.Context(), jobs.LinkPreview{StatusID: status,
			URL: l.URL + path})
	}
	t.Run("without a card is remembered", func(t *testing.T) {
		for range 3 {
			if err := preview(t, 1, "/none"); err != nil {
				t.Error(err)
			}
		}
		if n := l.seen.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	for code, want := range map[int64]string{404: "done", 500: "retry"} {
		t.Run(fmt.Sprintf("that answers %d: %s", code, want), func(t *testing.T) {
			l.status.Store(code)
			if err := preview(t, 1, fmt.Sprint("/", code)); outcome(err) != want {
				t.Error(err)
			}
			l.status.Store(200)
		})
	}
	t.Run("is fetched by one job while another waits", func(t *testing.T) {
		ended := make(chan error)
		before := l.seen.Load()
		go func() { ended <- preview(t, 1, "/gate") }()
		testwait.Until(t, 5*time.Second, "the first job asks for the page",
			func() bool { return l.seen.Load() > before })
		if err := preview(t, 2, "/gate"); outcome(err) != "snooze" {
			t.Error(err)
		}
		close(l.gate)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("has no lock afterwards", func(t *testing.T) {
		if keys := all.redis.Keys(t.Context(), "kyu:lock:*").Val(); len(keys) != 0 {
			t.Error(keys)
		}
	})
}

func TestPreviewType(t *testing.T) {
	all := newSite(t)
	l := newLinked(t)
	for kind, want := range map[string]int{"text/html; charset=": 1, "text/html;;charset=utf-8": 1,
		"text/html;utf-8": 1, "text/html, text/html": 1, "text/plain": 0} {
		t.Run(kind, func(t *testing.T) {
			address := l.URL + "/title?type=" + url.QueryEscape(kind)
			err := all.previews(-1).Preview(t.Context(), jobs.LinkPreview{URL: address})
			if n := all.With(t).count("SELECT count(*) FROM preview_cards WHERE url = $1",
				address); n != want || err != nil {
				t.Errorf("%d cards, want %d (%v)", n, want, err)
			}
		})
	}
}

// TestLongURL stores URLs that an index cannot compress, at its limit.
func TestLongURL(t *testing.T) {
	all := newSite(t)
	l := newLinked(t)
	for _, c := range []struct {
		name string
		size int
		want int64 // requests, and cards
	}{{"at the limit of the index is fetched", 2692, 1}, {"beyond it is not", 2693, 0}} {
		t.Run(c.name, func(t *testing.T) {
			var noise []byte
			for len(noise) < c.size {
				noise = append(noise, queue.NewJID()...)
			}
			address := (l.URL + "/title?" + string(noise))[:c.size]
			before := l.seen.Load()
			err := all.previews(-1).Preview(t.Context(), jobs.LinkPreview{URL: address})
			n := all.With(t).count("SELECT count(*) FROM preview_cards WHERE url = $1", address)
			if err != nil || l.seen.Load()-before != c.want || int64(n) != c.want {
				t.Errorf("%d requests, %d cards: %v", l.seen.Load()-before, n, err)
			}
		})
	}
}

func TestPreviewJitter(t *testing.T) {
	s := newSite(t)
	p := s.previews(0)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	a := jobs.LinkPreview{StatusID: 1, URL: closed.URL}
	preview := func(t *testing.T, i int, created time.Time) error {
		return p.Preview(run(t, `{"class":"LinkPreviewWorker","jid":"j%d","created_at":%f,`+
			`"args":[]}`, i, float64(created.UnixMilli())/1000), a)
	}
	t.Run("spreads jobs over a minute", func(t *testing.T) {
		now, wait := time.Now(), 0
		for i := range 20 {
			if outcome(preview(t, i, now)) == "snooze" {
				wait++
			}
		}
		if wait < 15 {
			t.Errorf("%d of 20 wait", wait)
		}
	})
	t.Run("does not put off a job that is older", func(t *testing.T) {
		err := preview(t, 1, time.Now().Add(-61*time.Second))
		if outcome(err) != "retry" || !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	})
}
