package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// failed puts n jobs into a set, which failed that many seconds after 1e9.
func (f *fixture) failed(set, class, err, message string, n, seconds int, args ...any) {
	f.Helper()
	for from := 0; from < n; from += 1000 {
		var page []redis.Z
		for i := from; i < min(n, from+1000); i++ {
			b, e := json.Marshal(map[string]any{"class": class, "jid": fmt.Sprint(class, err, i),
				"args": append([]any{}, args...), "queue": "a", "error_class": err,
				"error_message": message, "failed_at": 1e9 + seconds, "retry_count": 0})
			if e != nil {
				f.Fatal(e)
			}
			page = append(page, redis.Z{Score: float64(2e9 + i), Member: b})
		}
		if e := f.raw.ZAdd(f.Context(), set, page...).Err(); e != nil {
			f.Fatal(e)
		}
	}
}

func TestFailures(t *testing.T) {
	f := newFixture(t)
	f.failed("retry", "Push", "Timeout", "slow", 5, 1, `{"id":"https://inside.example"}`, 7,
		"https://A.example:8443/inbox")
	f.failed("retry", "Push", "Refused", "closed", 2, 9, "{}", 7, "https://a.example/inbox")
	f.failed("retry", "Mail", "Timeout", "older", 1, 1)
	f.failed("dead", "Push", "Timeout", "newer", 1, 5, "https://b.example")
	f.raw.ZAdd(t.Context(), "dead", redis.Z{Score: 1e9, Member: "no job"})
	x, err := f.in.Failures(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("counts classes of jobs and errors in both sets", func(t *testing.T) {
		first := x.Classes[0]
		if len(x.Classes) != 4 || first.Class != "Push" || first.Error != "Timeout" ||
			first.Retries != 5 || first.Dead != 1 {
			t.Errorf("%+v", x.Classes)
		}
		last := x.Classes[2:]
		if last[0].Class+last[1].Class != "Mail" || last[0].Dead != 1 {
			t.Errorf("%+v", last)
		}
	})
	t.Run("has the last failure of each", func(t *testing.T) {
		if x.Classes[0].Message != "newer" || x.Classes[0].At.Unix() != 1e9+5 ||
			x.Hosts[0].Error != "Refused" {
			t.Errorf("%+v", x)
		}
	})
	t.Run("counts the hosts of the first URL", func(t *testing.T) {
		if len(x.Hosts) != 2 || x.Hosts[0].Host != "a.example" || x.Hosts[0].Retries != 7 ||
			x.Hosts[1].Host != "b.example" || x.Hosts[1].Dead != 1 {
			t.Errorf("%+v", x.Hosts)
		}
	})
	t.Run("says that it has read all", func(t *testing.T) {
		want := inspect.FailureCount{Size: 8, Read: 8}
		if x.Retries != want || x.Dead != (inspect.FailureCount{Size: 2, Read: 2}) {
			t.Errorf("%+v", x)
		}
	})
}

func TestFailuresOfLargeSets(t *testing.T) {
	f := newFixture(t)
	f.failed("retry", "Many", "E", "m", 15_000, 1)
	f.failed("retry", "Few", "E", "m", 5_000, 1)
	f.failed("dead", "Many", "E", "m", 3, 1)
	t.Run("are estimated", func(t *testing.T) {
		x, err := f.in.Failures(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		want := inspect.FailureCount{Size: 20_000, Read: 5_000, Sampled: true}
		many, few := x.Classes[0], x.Classes[1]
		if x.Retries != want || x.Dead.Sampled || many.Class != "Many" || many.Dead != 3 ||
			many.Retries < 14_700 || many.Retries > 15_300 || many.Retries+few.Retries != 20_000 {
			t.Errorf("%+v", x)
		}
	})
	t.Run("are counted on demand", func(t *testing.T) {
		x, err := f.in.Failures(t.Context(), true)
		if err != nil || x.Retries.Sampled || x.Classes[0].Retries != 15_000 ||
			x.Classes[1].Retries != 5_000 {
			t.Errorf("%+v %v", x, err)
		}
	})
	t.Run("say that the time was over", func(t *testing.T) {
		var x inspect.Failures
		err := errors.New("not asked")
		for wait := 5 * time.Millisecond; err != nil; wait *= 2 { // a slow machine needs more
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			x, err = f.in.Failures(ctx, true)
			cancel()
		}
		if !x.Retries.Stopped && !x.Dead.Stopped {
			t.Errorf("%+v", x)
		}
	})
}

func TestSample(t *testing.T) {
	f := newFixture(t)
	f.failed("retry", "A", "E", "m", 1000, 1)
	for n, want := range map[int]int{10: 10, 1000: 1000, 5000: 1000} {
		t.Run(fmt.Sprintf("reads %d entries, spread over the set", n), func(t *testing.T) {
			seen, halves := map[string]bool{}, [2]int{}
			err := f.in.RetrySet().Sample(t.Context(), n, func(e queue.Entry) {
				seen[e.Raw] = true
				halves[int(e.At.Unix()-2e9)/500]++
			})
			if err != nil || len(seen) != want || halves[0] != want/2 {
				t.Error(len(seen), halves, err)
			}
		})
	}
}
