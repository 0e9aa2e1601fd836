package worker

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
)

// noting gives the bench a capability that writes down how each job leaves. A job with a field bad
// has effects that fail.
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

// noted returns what the capability has written, sorted.
func (b *bench) noted() []string {
	notes := b.raw.LRange(b.Context(), "kyu:notes", 0, -1).Val()
	slices.Sort(notes)
	return notes
}

func TestEffects(t *testing.T) {
	t.Parallel()
	t.Run("run once for each way in which a job leaves a worker", effectsOnce)
	t.Run("that fail delay no worker", failingEffects)
	t.Run("of poison are run by the reclaimer", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.noting()
		b.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
		b.deadOwner("elsewhere:1:x", "a", payload("a", "Poison", 1, 0))
		b.start()
		b.until("it is dead", func() bool { return b.size("dead") == 1 })
		if got := b.noted(); !slices.Equal(got, []string{"Poison poison"}) {
			t.Errorf("written: %q", got)
		}
	})
}

func effectsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.noting()
	b.config.Unknown = HoldUnknown()
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
	b.start()
	b.until("all have left", func() bool { return b.empty() && b.size("dead") == 2 })
	if got := b.noted(); !slices.Equal(got, want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

func failingEffects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.noting()
	var ran atomic.Int64
	b.handle("Done", func(context.Context) error { ran.Add(1); return nil })
	for i := range 20 {
		bad := []string{"no", "panics", "forbidden", "no"}[i%4]
		b.raw.LPush(t.Context(), "queue:a",
			fmt.Sprintf(`{"class":"Done","jid":"%d","args":[],"bad":%q}`, i, bad))
	}
	p := b.start()
	b.until("all have left", func() bool { return b.empty() && ran.Load() == 20 })
	if got := b.noted(); len(got) != 10 {
		t.Errorf("written: %q, want 10 notes", got)
	}
	for _, part := range []string{"panicked: no good", "NOPERM", "jid=2"} {
		if !b.says(part) {
			t.Errorf("no %q in the log", part)
		}
	}
	if n := p.Status().Stale; n != 0 {
		t.Errorf("%d counted as stale", n)
	}
}
