package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestHook(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"quiet", "shutdown", "heartbeat"} {
		t.Run("a panic at "+event+" costs no job", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.hookAt(event, func(context.Context) error { panic("of a hook") })
			b.runsAllJobs()
		})
	}
	t.Run("a panic at startup is an error of the start", panicAtStartup)
	for _, event := range []string{"quiet", "shutdown", "heartbeat"} {
		t.Run("that hangs at "+event+" delays no stop", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.hookAt(event, b.gate().hook)
			p := b.start()
			b.until("it has a lease", func() bool { return b.leased(p.Status().Identity) })
			p.stopsInTime()
		})
	}
}

// hookAt sets the hook of one event.
func (b *bench) hookAt(event string, hook func(context.Context) error) {
	h, hooks := &b.config.Hooks, []func(context.Context) error{hook}
	switch event {
	case "startup":
		h.Startup = hooks
	case "heartbeat":
		h.Heartbeat = hooks
	case "quiet":
		h.Quiet = hooks
	case "shutdown":
		h.Shutdown = hooks
	}
}

// runsAllJobs runs three jobs and one of a dead owner, and stops.
func (b *bench) runsAllJobs() {
	b.Helper()
	var done atomic.Int64
	b.handleNumber("Job", func(context.Context, int) error { done.Add(1); return nil })
	b.deadOwner("gone:1:abc", "a", payload("a", "Job", 99, 0))
	b.fill("a", "Job", 3, 0)
	p := b.start()
	b.until("the jobs are done", func() bool { return done.Load() == 4 && b.inFlight() == 0 })
	p.stop()
}

// stopsInTime tells p twice to stop. A callback that hangs may delay it by 5 s at most.
func (p *process) stopsInTime() {
	p.b.Helper()
	p.Stop()
	p.Stop()
	p.endsWithin(callbackWithin + 5*time.Second)
	if p.err != nil {
		p.b.Error("Run:", p.err)
	}
}

func panicAtStartup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.hookAt("startup", func(context.Context) error { panic("of a hook") })
	b.fill("a", "Job", 3, 0)
	p := b.launch(b.store)
	p.endsWithin(20 * time.Second)
	if p.err == nil || errors.Is(p.err, errPanicked) {
		t.Errorf("Run: %v, want an error", p.err)
	}
	if n := b.waiting("a"); n != 3 {
		t.Errorf("%d jobs wait, want 3", n)
	}
}
