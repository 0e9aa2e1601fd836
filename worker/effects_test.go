package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// noting gives the bench a capability that writes down how each job leaves. A job with a
// field bad has effects that go wrong.
func (b *bench) noting() {
	notes := queue.Capability{Kind: "note", Lua: "redis.call('RPUSH', keys[1], args[1])",
		Effects: func(j *queue.Job, event queue.EffectEvent) []queue.Effect {
			key := "kyu:notes"
			switch j.String("bad") {
			case "panics":
				panic("no good")
			case "forbidden":
				key = "secret"
			}
			args := []string{j.DisplayClass() + " " + string(event)}
			return []queue.Effect{{Kind: "note", Keys: []string{key}, Args: args}}
		}}
	b.store = b.server.Store(func(c *queue.Config) { c.Capabilities = []queue.Capability{notes} })
	b.client = queue.NewClient(b.store)
}

func (b *bench) noted() []string {
	list := b.raw.LRange(b.Context(), "kyu:notes", 0, -1).Val()
	slices.Sort(list)
	return list
}

func TestEffectsRunOnceForEachWayInWhichAJobLeavesAWorker(t *testing.T) {
	b := newBench(t)
	b.noting()
	b.config.Unknown = worker.HoldUnknown()
	handle := func(class string, err error) {
		b.handle(class, func(context.Context) error { return err })
	}
	handle("Done", nil)
	handle("Retry", queue.RetryIn(time.Hour, errors.New("no")))
	handle("Snooze", queue.Snooze(time.Hour))
	handle("Discard", queue.Discard(errors.New("no")))
	handle("Dead", queue.Kill(errors.New("no")))
	handle("Expire", nil)
	var want []string
	for _, class := range []string{"Done", "Retry", "Snooze", "Discard", "Dead"} {
		b.push(class, nil, queue.Options{})
		want = append(want, class+" "+strings.ToLower(class))
	}
	b.push("Unknown", nil, queue.Options{})
	b.raw.LPush(t.Context(), "queue:a",
		`{"class":"Expire","jid":"e","args":[],"expires_at":1.5}`, "no job")
	want = append(want, "Expire expire", "Unknown hold")
	slices.Sort(want)
	b.run()
	b.until("all have left", func() bool { return b.empty() && b.size("dead") == 2 })
	if got := b.noted(); !slices.Equal(got, want) {
		t.Errorf("written down: %q, want %q", got, want)
	}
}

func TestEffectsThatGoWrongHoldNoWorkerUp(t *testing.T) {
	b := newBench(t)
	b.noting()
	var ran atomic.Int64
	b.handle("Done", func(context.Context) error { ran.Add(1); return nil })
	for i := range 20 {
		bad := []string{"no", "panics", "forbidden", "no"}[i%4]
		b.raw.LPush(t.Context(), "queue:a",
			fmt.Sprintf(`{"class":"Done","jid":"%d","args":[],"bad":%q}`, i, bad))
	}
	r := b.run()
	b.until("all have left", func() bool { return b.empty() && ran.Load() == 20 })
	if got := b.noted(); len(got) != 10 {
		t.Errorf("written down: %q", got)
	}
	for _, part := range []string{"panicked: no good", "NOPERM", "jid=2"} {
		if !strings.Contains(b.log.String(), part) {
			t.Errorf("no %q in the log", part)
		}
	}
	if n := r.Status().Stale; n != 0 {
		t.Errorf("%d counted as stale", n)
	}
}

func TestEffectsOfPoisonAreRunByTheReclaimer(t *testing.T) {
	s := newStage(t)
	s.noting()
	s.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
	s.deadOwner("elsewhere:1:x", "a", payload("a", "Poison", 1, 0))
	s.start(s.store)
	s.until("it is dead", func() bool { return s.size("dead") == 1 })
	if got := s.noted(); len(got) != 1 || got[0] != "Poison poison" {
		t.Errorf("written down: %q", got)
	}
}
