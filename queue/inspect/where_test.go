package inspect_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// failures puts n jobs into the retry set. Every third is for the host b. They failed at the given
// time, and are due at the same one if tied.
func failures(t *testing.T, raw *redis.Client, n int, failed time.Time, tied bool) {
	t.Helper()
	for i := range n {
		host, due := "a", float64(2e9+i)
		if i%3 == 0 {
			host = "b"
		}
		if tied {
			due = 2e9 + 0.123456789
		}
		payload := fmt.Sprintf(`{"class":"Deliver","jid":"%s%d","queue":"push",`+
			`"args":["https://%[1]s.example/inbox"],"created_at":1.5,"failed_at":%[3]d.5,`+
			`"retry_count":0}`, host, i, failed.Unix())
		raw.ZAdd(t.Context(), "retry", redis.Z{Score: due, Member: payload})
	}
}

func filter(t *testing.T, text string) inspect.Filter {
	t.Helper()
	f, err := inspect.ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhere(t *testing.T) {
	for name, tied := range map[string]bool{"with a time each": false, "all due at once": true} {
		t.Run("changes the entries that the filter chooses, "+name, func(t *testing.T) {
			f := newFixture(t)
			now := time.Now()
			failures(t, f.raw, 2000, now.Add(-time.Hour), tied)
			set := f.in.RetrySet()
			host := filter(t, "host:b.example class:deliver")
			tally, err := set.Search(t.Context(), host, now, nil)
			if want := (inspect.Tally{2000, 667, 0}); tally != want || err != nil {
				t.Fatal(tally, err, "want", want)
			}
			tally, err = set.Where(t.Context(), host, now, set.Retry)
			if want := (inspect.Tally{2000, 667, 667}); tally != want || err != nil {
				t.Fatal(tally, err, "want", want)
			}
			if n := f.raw.LLen(t.Context(), "queue:push").Val(); n != 667 {
				t.Error(n, "jobs are in the queue, want 667")
			}
			again, err := set.Where(t.Context(), host, now, set.Retry)
			if want := (inspect.Tally{1333, 0, 0}); again != want || err != nil {
				t.Error(again, err, "want", want)
			}
		})
	}
	t.Run("leaves what came after the moment", func(t *testing.T) {
		f := newFixture(t)
		asOf := time.Now().Add(-20 * time.Second)
		failures(t, f.raw, 9, asOf.Add(10*time.Second), false)
		set := f.in.RetrySet()
		tally, err := set.Where(t.Context(), inspect.Filter{}, asOf, set.Delete)
		if want := (inspect.Tally{9, 0, 0}); tally != want || err != nil {
			t.Error(tally, err, "want", want)
		}
	})
	t.Run("leaves what comes back meanwhile", func(t *testing.T) {
		for name, set := range map[string]*inspect.JobSet{"kyu:hold:A": nil, "schedule": nil} {
			f := newFixture(t)
			if set = f.in.ScheduleSet(); name != "schedule" {
				set = f.in.HoldSet("A")
			}
			f.raw.ZAdd(t.Context(), name, redis.Z{Score: 1,
				Member: `{"class":"A","jid":"j","queue":"a","args":[]}`})
			back := func(ctx context.Context, list ...queue.Entry) (int, error) {
				n, err := set.AddToQueue(ctx, list...)
				raw := f.raw.LPop(ctx, "queue:a").Val()
				now := float64(time.Now().UnixMicro()) / 1e6
				f.raw.ZAdd(ctx, name, redis.Z{Score: now, Member: raw})
				return n, err
			}
			tally, err := set.Where(t.Context(), inspect.Filter{}, time.Now(), back)
			if want := (inspect.Tally{2, 1, 1}); tally != want || err != nil {
				t.Error(name, tally, err, "want", want)
			}
		}
	})
	t.Run("sees each entry once if some stay", func(t *testing.T) {
		f := newFixture(t)
		failures(t, f.raw, 1200, time.Now().Add(-time.Hour), true)
		set := f.in.RetrySet()
		calls := 0
		tally, err := set.Where(t.Context(), inspect.Filter{}, time.Now(),
			func(_ context.Context, list ...queue.Entry) (int, error) {
				calls += len(list)
				return 0, nil
			})
		if tally.Seen != 1200 || calls != 1200 || err != nil {
			t.Error(tally, calls, err)
		}
	})
}
