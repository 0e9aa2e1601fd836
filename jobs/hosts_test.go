package jobs_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

const breaker = "kyu:breaker:127.0.0.1"

// endCoolOff makes the time of the open breaker be over.
func (s *site) endCoolOff() { s.redis.HSet(s.Context(), breaker, "until", 1) }

func TestBreaker(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	d, other := all.deliveries(), all.deliveries() // two workers
	deliver := func(t *testing.T, d *jobs.Deliveries, want string, requests int64) {
		t.Helper()
		before := in.seen.Load()
		err := d.Deliver(t.Context(), in.to("/inbox"))
		if n := in.seen.Load() - before; outcome(err) != want || n != requests {
			t.Errorf("%s after %d requests, want %s after %d (%v)", outcome(err), n, want,
				requests, err)
		}
	}
	t.Run("is closed for the first three failures", func(t *testing.T) {
		in.status.Store(500)
		for range 3 {
			deliver(t, d, "retry", 1)
		}
	})
	t.Run("then puts the jobs of all workers off for about a minute", func(t *testing.T) {
		s := all.With(t)
		before := in.seen.Load()
		for _, d := range []*jobs.Deliveries{d, other} {
			s.wantIn(d.Deliver(t.Context(), in.to("/inbox")), queue.Schedule, 50*time.Second,
				65*time.Second)
		}
		if in.seen.Load() != before {
			t.Error("a request was sent")
		}
	})
	t.Run("stays open for twice as long after a probe that fails", func(t *testing.T) {
		s := all.With(t)
		s.endCoolOff()
		deliver(t, other, "retry", 1)
		if cool := s.redis.HGet(t.Context(), breaker, "cool").Val(); cool != "120000" {
			t.Errorf("%s ms", cool)
		}
		deliver(t, d, "snooze", 0)
	})
	t.Run("is listed while it is known", func(t *testing.T) {
		s := all.With(t)
		s.redis.ZAdd(t.Context(), "kyu:breakers", redis.Z{Score: 1, Member: "long.ago"})
		s.endCoolOff()
		deliver(t, d, "retry", 1)
		list := s.redis.ZRangeWithScores(t.Context(), "kyu:breakers", 0, -1).Val()
		expires := time.UnixMilli(int64(list[0].Score))
		if len(list) != 1 || list[0].Member != "127.0.0.1" ||
			time.Until(expires).Round(time.Minute) != 2*time.Hour {
			t.Errorf("%v, expires %v", list, expires)
		}
	})
	t.Run("closes after a probe that succeeds", func(t *testing.T) {
		s := all.With(t)
		s.endCoolOff()
		in.status.Store(202)
		for range 3 {
			deliver(t, d, "done", 1)
		}
		if n := s.redis.Exists(t.Context(), "kyu:breakers", breaker).Val(); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// hanging is a host that does not answer before release is closed.
func hanging(t *testing.T) (url string, release chan struct{}) {
	release = make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-release
	}))
	t.Cleanup(server.Close)
	return server.URL, release
}

func TestHostLimits(t *testing.T) {
	s := newSite(t)
	s.account(1, "alice")
	// begin starts n deliveries at once; results gets their errors.
	begin := func(t *testing.T, n int) (d *jobs.Deliveries, url string, release chan struct{},
		results chan error) {
		d = s.With(t).deliveries()
		url, release = hanging(t)
		results = make(chan error, n)
		for range n {
			go func() {
				results <- d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
					InboxURL: url})
			}()
		}
		return d, url, release, results
	}
	want := func(t *testing.T, results chan error, n int, outcomeOf string) {
		t.Helper()
		for range n {
			if err := <-results; outcome(err) != outcomeOf {
				t.Errorf("%v, want %s", err, outcomeOf)
			}
		}
	}
	t.Run("a host holds half of the threads", func(t *testing.T) {
		_, _, release, results := begin(t, 25)
		want(t, results, 13, "snooze")
		close(release)
		want(t, results, 12, "done")
	})
	t.Run("a slow host holds an eighth of the threads", func(t *testing.T) {
		d, url, release, results := begin(t, 3)
		testwait.Until(t, 5*time.Second, "three requests count as slow, and a fourth is put off",
			func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				return outcome(d.Deliver(ctx, jobs.Delivery{Body: `{}`, AccountID: 1,
					InboxURL: url})) == "snooze"
			})
		close(release)
		want(t, results, 3, "done")
	})
}
