package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

func TestPoller(t *testing.T) {
	t.Parallel()
	t.Run("brings a failed job back to its queue when it is due", retriesJob)
	t.Run("goes on with the sets that it can read when it cannot read one", skipsBrokenSets)
	t.Run("gets past jobs whose queue has a wrong type, logs the key once, and moves them later",
		getsPastRefused)
}

func retriesJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var runs list
	b.handle("Flaky", func(ctx context.Context) error {
		n, again := queue.JobFrom(ctx).RetryCount()
		runs.add(fmt.Sprint(n, again))
		if !again {
			return errors.New("first time")
		}
		return nil
	})
	b.start()
	jid := b.push("Flaky", nil, queue.Options{Retry: queue.RetryMax(3)})
	b.until("it is in the retry set", func() bool { return b.size("retry") == 1 })
	e, err := inspect.New(b.store).RetrySet().Find(t.Context(), jid)
	if err != nil {
		t.Fatal(err)
	}
	wait := e.At.Sub(e.Job.Time("failed_at"))
	if wait < 14*time.Second || wait > 25*time.Second {
		t.Errorf("due %v after the failure, want 15 s and up to 9 s of jitter", wait)
	}
	b.store.RetrySet().Reschedule(t.Context(), e, time.Now())
	b.until("it is done", func() bool { return b.size("retry") == 0 && b.empty() })
	if got := runs.get(); !slices.Equal(got, []string{"0 false", "0 true"}) {
		t.Errorf("the retry counts of its runs are %q", got)
	}
}

func skipsBrokenSets(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	raw, ctx := s.Client(), t.Context()
	raw.Set(ctx, "retry", "of another program", 0)
	raw.Set(ctx, "kyu:hold:A", "of another program", 0)
	raw.ZAdd(ctx, "schedule", redis.Z{Score: 1, Member: `{"class":"A","queue":"a"}`})
	raw.ZAdd(ctx, "kyu:hold:B", redis.Z{Score: 1, Member: `{"class":"B","queue":"b"}`})
	p := &poller{store: s.Store(), outage: newOutage(slog.New(slog.DiscardHandler)),
		classes: []string{"A", "B"}, queues: []string{"a", "b"}}
	if err := p.poll(ctx); err == nil || !strings.Contains(err.Error(), "retry") {
		t.Errorf("the error does not name the set that cannot be read: %v", err)
	}
	for _, q := range []string{"a", "b"} {
		if n := raw.LLen(ctx, "queue:"+q).Val(); n != 1 {
			t.Errorf("%d jobs were moved to the queue %s, want 1", n, q)
		}
	}
}

// refusing returns a Redis with more than three pages of due jobs whose queue has a wrong type, and
// two jobs behind them, and a poller on it.
func refusing(t *testing.T, jobs int) (*redis.Client, *poller, *testwait.Log) {
	t.Helper()
	s, log := redistest.Start(t), new(testwait.Log)
	raw, ctx := s.Client(), t.Context()
	raw.Set(ctx, "queue:x", "of another program", 0)
	for i := range jobs {
		job := `{"class":"A","queue":"x","args":[` + strings.Repeat("1,", i) + `1]}`
		raw.ZAdd(ctx, "retry", redis.Z{Score: float64(i), Member: job})
	}
	raw.ZAdd(ctx, "retry", redis.Z{Score: 1000, Member: `{"class":"A","queue":"a"}`})
	raw.ZAdd(ctx, "schedule", redis.Z{Score: 1000, Member: `{"class":"A","queue":"a"}`})
	o := newOutage(slog.New(slog.NewTextHandler(log, nil)))
	return raw, &poller{store: s.Store(), outage: o}, log
}

func getsPastRefused(t *testing.T) {
	t.Parallel()
	const refused = 3*promotePage + 1
	raw, p, log := refusing(t, refused)
	ctx := t.Context()
	for range 3 {
		if err := p.poll(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := raw.LLen(ctx, "queue:a").Val(); n != 2 {
		t.Errorf("%d of 2 jobs behind the refused ones were moved", n)
	}
	if n := raw.ZCard(ctx, "retry").Val(); n != refused {
		t.Errorf("%d of %d refused jobs stayed", n, refused)
	}
	logged := func() int { return strings.Count(log.String(), "key=queue:x") }
	if n := logged(); n != 1 {
		t.Errorf("the key was logged %d times, want once: %s", n, log)
	}
	raw.Del(ctx, "queue:x")
	if err := p.poll(ctx); err != nil || raw.LLen(ctx, "queue:x").Val() != refused {
		t.Errorf("not moved after the key was deleted: %v", err)
	}
	raw.Del(ctx, "queue:x")
	raw.Set(ctx, "queue:x", "again", 0)
	raw.ZAdd(ctx, "retry", redis.Z{Score: 1, Member: `{"class":"A","queue":"x"}`})
	p.poll(ctx)
	if n := logged(); n != 2 {
		t.Errorf("a key that breaks again was logged %d times in all, want 2", n)
	}
}
