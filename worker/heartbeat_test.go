package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	t.Run("obeys the signals TSTP and TERM that come through Redis", obeysSignals)
	t.Run("obeys a TERM though the replies that tell of it are lost", obeysLostSignal)
	t.Run("logs stuck handlers, and gives up if there are too many", tooManyStuck)
	t.Run("replaces the threads of stuck handlers", replacesThreads)
	t.Run("gives up if the process has too much memory", tooMuchMemory)
}

// signal sends a signal to p through Redis, as Sidekiq's web page does.
func (p *process) signal(name string) {
	p.b.Helper()
	identity := p.Status().Identity
	p.b.until("its record is in Redis", func() bool {
		return p.b.raw.Exists(p.b.Context(), identity).Val() == 1
	})
	if err := inspect.New(p.b.store).Signal(p.b.Context(), identity, name); err != nil {
		p.b.Fatal(err)
	}
}

func obeysSignals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle("Job", func(context.Context) error { return nil })
	p := b.start()
	p.signal("TSTP")
	b.until("it is quiet", func() bool { return p.Status().Quiet })
	b.push("Job", nil, queue.Options{})
	p.signal("TERM")
	p.endsWithin(20 * time.Second)
	if p.err != nil {
		t.Error("Run:", p.err)
	}
	if n := b.waiting("a"); n != 1 {
		t.Errorf("%d jobs wait, want 1: it took a job after it was quiet; jobs: %s", n,
			redistest.Places(t.Context(), b.raw))
	}
}

func obeysLostSignal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store, proxy := b.proxied()
	p := b.startOn(store)
	b.until("its record is in Redis", func() bool {
		return b.raw.Exists(t.Context(), p.Status().Identity).Val() == 1
	})
	proxy.DropEvery(faultproxy.Script("beat"), 1)
	p.signal("TERM")
	lost := proxy.Dropped()
	b.until("the replies of two beats are lost", func() bool { return proxy.Dropped() >= lost+2 })
	proxy.DropReply("", 0)
	p.endsWithin(15 * time.Second)
}

func tooManyStuck(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	release := b.gate()
	b.handle("Hang", func(context.Context) error { release.pass(); return nil },
		Options{Timeout: 10 * time.Millisecond})
	b.config.MaxStuck = 2
	b.config.Timeout, b.config.Grace = 10*time.Millisecond, 10*time.Millisecond
	p := b.start()
	b.push("Hang", nil, queue.Options{})
	b.until("one is stuck", func() bool { return p.Status().Stuck == 1 })
	if !b.says("stuck:") || !b.says("tooManyStuck") {
		t.Error("the stack of the handler is not in the log")
	}
	b.push("Hang", nil, queue.Options{})
	p.endsWithin(20 * time.Second)
	if !errors.Is(p.err, ErrStuck) {
		t.Errorf("Run: %v, want ErrStuck", p.err)
	}
	if n := b.waiting("a"); n != 2 {
		t.Errorf("%d jobs are back in the queue, want 2", n)
	}
}

func replacesThreads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules[0].Concurrency, b.config.MaxStuck = 1, 5
	release := b.gate()
	b.handle("Hang", func(context.Context) error { release.pass(); return nil },
		Options{Timeout: 10 * time.Millisecond})
	var runs list
	b.handle("Job", runs.adds("ran"))
	p := b.start()
	for i := range 2 {
		b.push("Hang", nil, queue.Options{})
		b.push("Job", nil, queue.Options{})
		b.until("the next job runs", func() bool { return runs.len() == i+1 })
	}
	if s := p.Status(); s.Stuck != 2 || s.Busy != 2 {
		t.Errorf("%d handlers are stuck and %d threads busy, want 2 and 2", s.Stuck, s.Busy)
	}
	release.open()
	b.until("the stuck ones are settled", func() bool { return b.empty() && p.Status().Busy == 0 })
	b.push("Job", nil, queue.Options{})
	b.until("a further job runs", func() bool { return runs.len() == 3 })
	b.until("nothing is stuck any more", func() bool { return p.Status().Stuck == 0 })
}

func tooMuchMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.MaxRSS = 1
	p := b.start()
	p.endsWithin(20 * time.Second)
	if !errors.Is(p.err, ErrMemory) {
		t.Errorf("Run: %v, want ErrMemory", p.err)
	}
}
