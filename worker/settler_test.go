package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
)

func TestSettler(t *testing.T) {
	t.Parallel()
	t.Run("a result waits for others, unless it is urgent", func(t *testing.T) {
		synctest.Test(t, lingers)
	})
	t.Run("does not delay a stop while Redis is away", stopsWithoutRedis)
	t.Run("sends results whose batch takes longer than a timeout", bigSettle)
	t.Run("results that Redis refuses delay the fetches", backPressure)
	t.Run("keeps jobs while the dead set has a wrong type", func(t *testing.T) {
		brokenSet(t, "dead", queue.Kill(errors.New("no use")))
	})
	t.Run("keeps jobs while the retry set has a wrong type", func(t *testing.T) {
		brokenSet(t, "retry", errors.New("to be retried"))
	})
	t.Run("keeps jobs while the schedule set has a wrong type", func(t *testing.T) {
		brokenSet(t, "schedule", queue.Snooze(time.Hour))
	})
}

func lingers(t *testing.T) {
	l, _ := newTestLedger(3)
	s := &settler{pool: l.pools[0], ledger: l}
	waited := func() (waited time.Duration, taken bool) {
		began := time.Now()
		taken = s.lingers(t.Context())
		return time.Since(began), taken
	}
	l.bring(t, "1", "2", "3")
	for range 2 {
		e, _, _ := l.pools[0].next(l.pools[0].all[0], false)
		l.finish(e, nil)
	}
	if d, taken := waited(); d != linger || taken {
		t.Errorf("without a fetch: waited %v, taken %v; want %v and false", d, taken, linger)
	}
	go func() { // a fetch takes the results along while the settler waits
		<-time.After(linger / 2)
		l.mu.Lock()
		l.carried[0]++
		l.mu.Unlock()
	}()
	if d, taken := waited(); d != linger || !taken {
		t.Errorf("with a fetch: waited %v, taken %v; want %v and true", d, taken, linger)
	}
	e, _, _ := l.pools[0].next(l.pools[0].all[0], false)
	l.finish(e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Retry})
	if d, taken := waited(); d != 0 || taken {
		t.Errorf("with a retry, which no fetch takes: waited %v, taken %v; want 0 and false", d,
			taken)
	}
}

func stopsWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Timeout = time.Second
	running, ends := make(chan struct{}), b.gate()
	b.handle("Job", func(context.Context) error {
		close(running)
		ends.pass()
		return nil
	})
	b.push("Job", nil, queue.Options{})
	p := b.start()
	<-running
	b.server.Kill()
	ends.open()
	b.until("its result waits", func() bool { return p.Status().Busy == 0 })
	p.Stop()
	p.endsWithin(20 * time.Second)
}

// A link that carries a batch in 3.5 s: Redis may be silent for 3 s.
func bigSettle(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 5, 1_000_000, 1_150_000
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: jobs, Queues: queues("a")}}
	store, proxy := b.proxied()
	first, ends := b.gate(), b.gate()
	var ended atomic.Int64
	b.handleNumber("Big", func(_ context.Context, i int) error {
		if i == 0 {
			first.pass()
		} else {
			ends.pass()
		}
		ended.Add(1)
		return errors.New("to be retried, with all its bytes")
	})
	b.fill("a", "Big", jobs, size)
	p := b.startOn(store)
	b.until("all run", func() bool { return p.Status().Busy == jobs })
	settle := faultproxy.Script("settle")
	proxy.Answer(settle, "LOADING for the test") // the results gather behind the first
	first.open()
	b.until("a result is refused", func() bool { return proxy.Answered(settle) > 0 })
	ends.open()
	b.until("all have failed", func() bool { return ended.Load() == jobs })
	refused := proxy.Answered(settle)
	b.until("their results are there", func() bool { return proxy.Answered(settle) > refused })
	proxy.Bandwidth(rate)
	proxy.Answer(settle, "")
	b.until("all are in the retry set", func() bool { return b.size("retry") == jobs && b.empty() })
}

// A result that Redis has not confirmed keeps its seat, so no further job is taken for it.
func backPressure(t *testing.T) {
	t.Parallel()
	const threads, jobs = 10, 1000
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: threads, Queues: queues("a")}}
	b.config.NoJobLog = true
	b.handleNumber("Fails", func(context.Context, int) error { return errors.New("to be retried") })
	b.raw.Set(t.Context(), "retry", "of another program", 0)
	b.fill("a", "Fails", jobs, 0)
	b.start()
	b.until("jobs are taken", func() bool { return b.waiting("a") < jobs })
	b.always(2*time.Second, fmt.Sprintf("at most %d jobs are in flight", threads), func() bool {
		return b.inFlight() <= threads
	})
	b.raw.Del(t.Context(), "retry")
	b.until("all are in the retry set", func() bool { return b.size("retry") == jobs })
}

// brokenSet lets jobs end with err while their set is a string. They wait in flight, and jobs of
// other queues run.
func brokenSet(t *testing.T, set string, err error) {
	t.Parallel()
	const jobs = 3
	b := newBench(t)
	var ended, others atomic.Int64
	b.handleNumber("Fails", func(context.Context, int) error { ended.Add(1); return err })
	b.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	b.raw.Set(t.Context(), set, "of another program", 0)
	b.start()
	b.fill("a", "Fails", jobs, 0)
	b.until("they have ended", func() bool { return ended.Load() == jobs })
	b.fill("b", "Other", 5, 0)
	b.until("others run", func() bool { return others.Load() == 5 && b.count("Other") == 0 })
	b.always(300*time.Millisecond, "none is lost", func() bool {
		return b.count("Fails")+int(b.waiting("a")) == jobs
	})
	b.raw.Del(t.Context(), set)
	b.until("all are in the set", func() bool { return b.size(set) == jobs && b.empty() })
}
