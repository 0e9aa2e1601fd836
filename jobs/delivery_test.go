package jobs_test

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
)

// inbox is another server that knows alice's key. It answers with status if the
// signature is hers, else with 401.
type inbox struct {
	*httptest.Server
	status  atomic.Int64
	header  http.Header // of every answer
	seen    atomic.Int64
	refuses string // a request with this header is answered with 401
	last    atomic.Pointer[http.Request]
}

const aliceKey = "https://home.example/users/alice#main-key"

// alice makes the local account 1 and an inbox that accepts its signatures.
func (s *site) alice() *inbox {
	s.Helper()
	key := &s.account(1, "alice").PublicKey
	in := &inbox{header: http.Header{}}
	in.status.Store(202)
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.seen.Add(1)
		body, _ := io.ReadAll(r.Body)
		in.last.Store(r)
		for name, values := range in.header {
			w.Header()[name] = values
		}
		if strings.HasPrefix(r.URL.Path, "/moved") {
			http.Redirect(w, r, "/inbox?from="+r.URL.Path, http.StatusPermanentRedirect)
			return
		}
		got, err := httpsig.Verify(r, body, func(string) (crypto.PublicKey, error) {
			return key, nil
		}, time.Now())
		refused := in.refuses != "" && r.Header.Get(in.refuses) != ""
		if err != nil || got != aliceKey || refused {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(int(in.status.Load()))
	}))
	s.Cleanup(in.Close)
	return in
}

// to is a delivery from alice to a path of the inbox.
func (in *inbox) to(path string) jobs.Delivery {
	return jobs.Delivery{Body: `{"type":"Create","id":"https://home.example/1"}`, AccountID: 1,
		InboxURL: in.URL + path}
}

// deliveries makes the deliveries of a worker with 25 threads.
func (s *site) deliveries() *jobs.Deliveries {
	return &jobs.Deliveries{HTTP: s.http, Hosts: jobs.NewHosts(s.redis, 25, s.slog),
		Actors:       jobs.NewActors(s.db, s.redis, "home.example"),
		Availability: jobs.NewAvailability(s.db, s.redis, s.slog), Log: s.slog}
}

// wantIn checks that an error puts the job off by about wait.
func (s *site) wantIn(err error, action queue.Action, least, most time.Duration) {
	s.Helper()
	var steer *queue.Steer
	if !errors.As(err, &steer) || steer.Action != action {
		s.Errorf("got %v, want an error with the action %v", err, action)
		return
	}
	if steer.In < least || steer.In > most {
		s.Errorf("the job waits for %v, want %v to %v", steer.In, least, most)
	}
}

func TestDelivery(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	t.Run("is signed for its inbox", func(t *testing.T) {
		s := all.With(t)
		if err := s.deliveries().Deliver(t.Context(), in.to("/inbox?a=b")); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Content-Type": "application/activity+json",
			"User-Agent": "Kyu/test", "Signature": `algorithm="rsa-sha256"`} {
			if got := in.last.Load().Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %s in it", name, got, want)
			}
		}
	})
	t.Run("is signed again for the target of a redirect", func(t *testing.T) {
		s := all.With(t)
		if err := s.deliveries().Deliver(t.Context(), in.to("/moved")); err != nil {
			t.Error(err)
		}
		if got := in.last.Load().URL.RawQuery; got != "from=/moved" {
			t.Errorf("the last request has the query %q", got)
		}
	})
	t.Run("is made while Redis is away", func(t *testing.T) {
		s := newSite(t)
		in := s.alice()
		s.redis.Close()
		err := s.deliveries().Deliver(t.Context(), in.to("/inbox"))
		if err != nil || in.seen.Load() != 1 {
			t.Errorf("%v after %d requests", err, in.seen.Load())
		}
	})
	t.Run("shows no private key", func(t *testing.T) {
		o := jobs.DeliveryOptions{SignWith: "PEM"}
		if text := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(text, "PEM") {
			t.Error(text)
		}
	})
}

func TestDeliveryOutcome(t *testing.T) {
	s := newSite(t)
	in := s.alice()
	d := s.deliveries()
	for status, want := range map[int64]string{200: "done", 202: "done", 301: "retry", 304: "retry",
		400: "done", 401: "retry", 403: "done", 404: "done", 408: "retry",
		410: "done", 422: "done", 429: "retry", 500: "retry", 501: "done", 502: "retry",
		503: "retry", 504: "retry"} {
		t.Run(fmt.Sprintf("%d: %s", status, want), func(t *testing.T) {
			s := s.With(t)
			in.status.Store(status)
			s.redis.FlushAll(t.Context())
			if err := d.Deliver(t.Context(), in.to("/inbox")); outcome(err) != want {
				t.Errorf("%s, want %s (%v)", outcome(err), want, err)
			}
			// A day counts as one with failures only if the delivery is tried again.
			days := s.redis.SCard(t.Context(), "exhausted_deliveries:127.0.0.1").Val()
			if (days == 1) != (want == "retry") {
				t.Errorf("%d days with failures", days)
			}
		})
	}
}

func TestDeliveryAccount(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	mallory := all.account(2, "mallory")
	deliver := func(s *site, account int64) error {
		a := in.to("/inbox")
		a.AccountID = account
		return s.deliveries().Deliver(s.Context(), a)
	}
	t.Run("with a key that the inbox refuses: retry", func(t *testing.T) {
		s := all.With(t)
		if err := deliver(s, 2); outcome(err) != "retry" {
			t.Error(err)
		}
		if strings.Contains(s.log.String(), mallory.D.String()[:20]) {
			t.Error("the log shows a private key")
		}
	})
	t.Run("suspended, and the inbox answers 401: done", func(t *testing.T) {
		s := all.With(t)
		s.exec("UPDATE accounts SET suspended_at = now() WHERE id = 2")
		if err := deliver(s, 2); err != nil {
			t.Error(err)
		}
	})
	t.Run("that does not exist: done", func(t *testing.T) {
		if err := deliver(all.With(t), 99); err != nil {
			t.Error(err)
		}
	})
}

func TestDoubleKnock(t *testing.T) {
	s := newSite(t)
	in := s.alice()
	in.refuses = "Digest" // accepts RFC 9421 only
	for _, c := range []struct {
		name     string
		on       bool
		outcome  string
		requests int64
	}{{"off: one request", false, "retry", 1}, {"on: a second signature", true, "done", 2}} {
		t.Run(c.name, func(t *testing.T) {
			d := s.With(t).deliveries()
			d.DoubleKnock = c.on
			before := in.seen.Load()
			err := d.Deliver(t.Context(), in.to("/inbox"))
			if n := in.seen.Load() - before; outcome(err) != c.outcome || n != c.requests {
				t.Errorf("%v after %d requests", err, n)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	in.status.Store(429)
	d := all.deliveries()
	inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{{"in seconds", "120", 2 * time.Minute}, {"as a date", inAnHour, time.Hour},
		{"shorter than Mastodon's own wait", "1", 15 * time.Second},
		{"longer than half a day", "99999999", 12 * time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			s := all.With(t)
			in.header.Set("Retry-After", c.value)
			s.wantIn(d.Deliver(t.Context(), in.to("/inbox")), queue.Retry, c.want-5*time.Second,
				c.want+time.Second)
		})
	}
	t.Run("closes the lane of the host, if the job has one", func(t *testing.T) {
		in.header.Set("Retry-After", "1")
		err := d.Deliver(queue.WithLane(t.Context()), in.to("/inbox"))
		var steer *queue.Steer
		if !errors.As(err, &steer) || !steer.Closes || steer.In != time.Second {
			t.Errorf("%v, want a lane that is closed for 1 s", err)
		}
	})
	t.Run("that cannot be read", func(t *testing.T) {
		in.header.Set("Retry-After", "soon")
		if err := d.Deliver(t.Context(), in.to("/inbox")); outcome(err) != "retry" {
			t.Error(err)
		}
	})
}

func TestForbiddenAddress(t *testing.T) {
	all := newSite(t)
	all.alice()
	deliver := func(s *site, url string) {
		s.Helper()
		d := s.deliveries()
		d.HTTP = jobs.NewHTTP(&guard.Guard{}, "test")
		if err := d.Deliver(s.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
			InboxURL: url}); err != nil {
			s.Error(err)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/inbox", "http://localhost:1/inbox",
		"ftp://example.com/inbox", "http://user:hush@example.com/", "nonsense"} {
		t.Run("ends a delivery to "+url, func(t *testing.T) {
			s := all.With(t)
			before := strings.Count(s.log.String(), "not sent, and not tried again")
			deliver(s, url)
			after := strings.Count(s.log.String(), "not sent, and not tried again")
			if after != before+1 {
				t.Errorf("the log does not give the reason:\n%s", s.log)
			}
		})
	}
	t.Run("keeps passwords out of the log", func(t *testing.T) {
		if strings.Contains(all.log.String(), "hush") {
			t.Error(all.log)
		}
	})
}
