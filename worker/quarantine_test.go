package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestQuarantine(t *testing.T) {
	t.Parallel()
	t.Run("a suspect has the process to itself", runsAlone)
	t.Run("a run that ends clears a suspect", clearsSuspect)
	t.Run("a suspect does not wait for a handler that never returns", waitsNotForEver)
	t.Run("a suspect that runs longer than its time alone is marked", isMarked)
	t.Run("many suspects delay neither one another nor other capsules for long", manySuspects)
}

// suspect returns a job of queue a that was in flight at two crashes.
func suspect(class, jid string) string {
	return fmt.Sprintf(`{"class":%q,"jid":%q,"args":[],"queue":"a","crashes":2,"crashed_at":%d}`,
		class, jid, time.Now().Unix())
}

// pushNext pushes a payload to queue a, to be taken next.
func (b *bench) pushNext(payload string) {
	b.Helper()
	if err := b.raw.RPush(b.Context(), "queue:a", payload).Err(); err != nil {
		b.Fatal(err)
	}
}

// marks counts the marks of a kind in the records of owners: "alone" or "beside:".
func (b *bench) marks(prefix string) (n int64) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:owner:*").Val() {
		for field := range b.raw.HGetAll(b.Context(), key).Val() {
			if strings.HasPrefix(field, prefix) {
				n++
			}
		}
	}
	return n
}

func runsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules = append(b.config.Capsules, Capsule{Name: "other", Concurrency: 20,
		Queues: queues("c")})
	var running, beside, suspects atomic.Int64
	b.handle("Job", func(context.Context) error {
		running.Add(1)
		defer running.Add(-1)
		<-time.After(time.Millisecond) // the work
		return nil
	})
	b.handle("Suspect", func(context.Context) error {
		suspects.Add(1)
		for range 20 { // for a while
			if running.Load() > 0 || b.marks("alone") != 1 {
				beside.Add(1)
			}
		}
		return nil
	})
	for i := range 300 {
		b.push("Job", nil, queue.Options{Queue: []string{"a", "b", "c"}[i%3]})
	}
	b.start()
	for i := range 5 {
		b.pushNext(suspect("Suspect", fmt.Sprint("s", i)))
		b.push("Job", nil, queue.Options{Queue: "c"})
	}
	b.until("all have run", func() bool { return suspects.Load() == 5 && b.empty() })
	if n := beside.Load(); n > 0 {
		t.Errorf("%d times another job ran, or Redis had no mark that the suspect is alone", n)
	}
	if n := b.size("dead") + b.size("retry"); n > 0 {
		t.Errorf("%d jobs failed", n)
	}
}

func clearsSuspect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle("Fails", func(context.Context) error { return errors.New("as jobs do") })
	b.pushNext(suspect("Fails", "x"))
	b.start()
	b.until("it has failed", func() bool { return b.size("retry") == 1 })
	if raw := b.raw.ZRange(t.Context(), "retry", 0, 0).Val()[0]; strings.Contains(raw, "crash") {
		t.Errorf("it still counts its crashes: %s", raw)
	}
}

func waitsNotForEver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.MaxStuck = -1
	release := b.gate()
	b.handle("Hang", release.hook)
	var ran atomic.Bool
	var marks atomic.Int64
	b.handle("Suspect", func(context.Context) error {
		marks.Store(b.marks("beside:"))
		ran.Store(true)
		return nil
	})
	b.push("Hang", nil, queue.Options{})
	b.start()
	b.until("one handler hangs", func() bool { return b.inFlight() == 1 })
	b.pushNext(suspect("Suspect", "x"))
	b.until("the suspect waits for its turn", func() bool { return b.inFlight() == 2 })
	if n := b.marks("beside:"); n > 0 && !ran.Load() {
		t.Errorf("it waits, and Redis has %d marks that it runs: a crash would count for it", n)
	}
	b.until("the suspect has run", ran.Load)
	if n := marks.Load(); n != 1 {
		t.Errorf("it ran beside another job with %d marks, want 1: a crash must count for it", n)
	}
	release.open()
	b.until("all is done", b.empty)
}

func isMarked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	release := b.gate()
	b.handle("Suspect", release.hook)
	b.pushNext(suspect("Suspect", "x"))
	b.start()
	b.until("it is alone", func() bool { return b.marks("alone") == 1 })
	b.until("it runs on, and others may start", func() bool { return b.marks("alone") == 0 })
	if n := b.marks("beside:"); n != 1 {
		t.Errorf("%d marks that it runs beside others, want 1: a crash must count for it", n)
	}
	release.open()
	b.until("it is done", b.empty)
}

func manySuspects(t *testing.T) {
	t.Parallel()
	const suspects = 20
	b := newBench(t)
	b.config.Capsules = []Capsule{{Name: "slow", Concurrency: 25, Queues: queues("a")},
		{Name: "high", Concurrency: 25, Queues: queues("b")}}
	var done atomic.Int64
	b.handleNumber("Suspect", func(ctx context.Context, _ int) error {
		select {
		case <-time.After(time.Second): // the work
			done.Add(1)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	b.handleNumber("High", func(context.Context, int) error { return nil })
	for i := range suspects {
		b.pushNext(suspect("Suspect", fmt.Sprint("s", i)))
	}
	p := b.start()
	b.until("a suspect runs", func() bool { return p.Status().Busy > 0 })
	// One after the other they would take 20 s alone, and as long with the gate open.
	for began := time.Now(); done.Load() < suspects; {
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("%d of %d suspects are done after %v", done.Load(), suspects,
				took.Round(time.Second))
		}
		pushed := time.Now()
		b.fill("b", "High", 1, 0)
		b.until("the other capsule's job is done", func() bool {
			return b.waiting("b") == 0 && b.count("High") == 0
		})
		// The gate is closed for at most 2 s.
		if waited := time.Since(pushed); waited > 4*time.Second {
			t.Errorf("the other capsule's job waited %v", waited)
		}
		<-time.After(100 * time.Millisecond) // until the next is pushed
	}
}
