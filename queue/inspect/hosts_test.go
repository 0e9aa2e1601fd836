package inspect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// breaker writes what the workers know about a host. fields are those of its hash.
func (f *fixture) breaker(host string, expires time.Time, fields ...any) {
	f.Helper()
	f.raw.ZAdd(f.Context(), "kyu:breakers", redis.Z{Score: float64(expires.UnixMilli()),
		Member: host})
	if err := f.raw.HSet(f.Context(), "kyu:breaker:"+host, fields...).Err(); err != nil {
		f.Fatal(err)
	}
}

func TestBreakers(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	later, before := now.Add(time.Minute).UnixMilli(), now.Add(-time.Minute).UnixMilli()
	f.breaker("open", now.Add(5*time.Hour), "failures", 3, "until", later, "cool", 60_000)
	f.breaker("probing", now.Add(4*time.Hour), "failures", 4, "until", later, "probe", 1)
	f.breaker("due", now.Add(3*time.Hour), "failures", 5, "until", before)
	f.breaker("closed", now.Add(2*time.Hour), "failures", 1)
	f.breaker("answered", now.Add(time.Hour), "x", 1)
	f.breaker("expired", now.Add(-time.Hour), "failures", 9)
	f.raw.SAdd(t.Context(), "exhausted_deliveries:open", "20261128", "20261129")
	list, all, err := inspect.Breakers(t.Context(), f.raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("have the states of the workers, the last to fail first", func(t *testing.T) {
		var states []string
		for _, b := range list {
			states = append(states, fmt.Sprint(b.Host, "=", b.State, b.Failures))
		}
		if got := strings.Join(states, " "); got != "open=open3 probing=probing4 due=due5 "+
			"closed=closed1" || all != 5 {
			t.Error(got, all)
		}
	})
	t.Run("have the pause and the days with failures", func(t *testing.T) {
		if b := list[0]; b.Pause != 60 || b.Days != 2 || b.Until.UnixMilli() != later {
			t.Errorf("%+v", b)
		}
	})
}

func TestHosts(t *testing.T) {
	f := newFixture(t)
	f.failed("retry", "Push", "Timeout", "slow", 3, 1, "https://retried.example/inbox")
	f.failed("dead", "Push", "Refused", "no", 2, 1, "https://open.example/inbox")
	f.breaker("open.example", time.Now().Add(time.Hour), "failures", 3, "until",
		time.Now().Add(time.Minute).UnixMilli())
	f.raw.SAdd(t.Context(), "processes", "p:1:a")
	f.raw.HSet(t.Context(), "p:1:a", "info", `{"concurrency":5,"queues":["push"]}`)
	for tid := range 2 {
		f.raw.HSet(t.Context(), "p:1:a:work", fmt.Sprint(tid), `{"queue":"push","run_at":1,`+
			`"payload":"{\"class\":\"Push\",\"jid\":\"j\",\"args\":[\"https://busy.example/\"]}"}`)
	}
	t.Run("joins breakers, running jobs and failures", func(t *testing.T) {
		h, err := f.in.Hosts(t.Context(), f.raw)
		if err != nil || len(h.Hosts) != 3 || h.Breakers != 1 || h.Retries.Read != 3 {
			t.Fatalf("%+v %v", h, err)
		}
		open, busy, retried := h.Hosts[0], h.Hosts[1], h.Hosts[2]
		if open.Host != "open.example" || open.Breaker.State != inspect.BreakerOpen ||
			open.Dead != 2 || open.Error != "Refused" || busy.Host != "busy.example" ||
			busy.Busy != 2 || busy.Breaker != nil || retried.Retries != 3 {
			t.Errorf("%+v", h)
		}
	})
	t.Run("says that the Redis of the jobs does not answer", func(t *testing.T) {
		away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
		defer away.Close()
		h, err := f.in.Hosts(t.Context(), away)
		if err != nil || len(h.Hosts) != 3 || !strings.Contains(h.Problem, "refused") {
			t.Errorf("%+v %v", h, err)
		}
	})
}
