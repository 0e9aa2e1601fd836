package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/worker"
)

// Point 5. Each of these is more than a narrow link carries within the 3 seconds that
// Redis may be silent.
func TestPromiseBigPayloads(t *testing.T) {
	t.Run("jobs start whose batch takes longer than a time-out", bigFetch)
	t.Run("results go out whose batch takes longer than a time-out", bigSettle)
	t.Run("a dead owner's jobs are reclaimed whose batch takes longer than a time-out", bigReclaim)
}

func bigFetch(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 4, 5_000_000, 5_500_000 // 3.6 s
	s := newStage(t)
	s.config.Capsules = []worker.Capsule{{Concurrency: jobs, Queues: queues("a")}}
	store, proxy := s.link()
	var started atomic.Int64
	s.handleNumber("Big", func(context.Context, int) error { started.Add(1); return nil })
	for range jobs {
		s.fill("a", "Big", 1, size)
	}
	proxy.Bandwidth(rate)
	s.start(store)
	s.until("all have run", func() bool { return started.Load() >= jobs && s.empty() })
	if n := started.Load(); n != jobs {
		t.Errorf("%d starts of %d jobs", n, jobs)
	}
}

func bigSettle(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 14, 2_000_000, 5_000_000 // 5.6 s
	s := newStage(t)
	s.config.Capsules = []worker.Capsule{{Concurrency: jobs, Queues: queues("a")}}
	store, proxy := s.link()
	first, ends := s.gate(), s.gate()
	var ended atomic.Int64
	s.handleNumber("Big", func(_ context.Context, i int) error {
		if i == 0 {
			first.pass()
		} else {
			ends.pass()
		}
		ended.Add(1)
		return errors.New("to be retried, with all its bytes")
	})
	s.fill("a", "Big", jobs, size)
	p := s.start(store)
	s.until("all run", func() bool { return p.Status().Busy == jobs })
	settle := faultproxy.Script("settle")
	proxy.Answer(settle, "LOADING for the test") // the results gather behind the first
	first.open()
	s.until("a result is refused", func() bool { return proxy.Answered(settle) > 0 })
	ends.open()
	s.until("all have failed", func() bool { return ended.Load() == jobs })
	refused := proxy.Answered(settle)
	s.until("their results are there", func() bool { return proxy.Answered(settle) > refused })
	proxy.Bandwidth(rate)
	proxy.Answer(settle, "")
	s.until("all are in the retry set", func() bool { return s.size("retry") == jobs && s.empty() })
}

func bigReclaim(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 12, 1_000_000, 3_300_000 // 3.6 s, and as much back
	s := newStage(t)
	store, proxy := s.link()
	payloads := make([]string, jobs)
	for i := range payloads {
		payloads[i] = payload("x", "Big", i, size)
	}
	s.deadOwner("gone:1:abc", "x", payloads...)
	proxy.Bandwidth(rate)
	s.start(store) // it does not serve their queue
	s.until("all are back in their queue", func() bool { return s.waiting("x") == jobs })
}

// Point 9. What could not be settled counts as busy: no further jobs are taken for it.
func TestPromiseBackPressure(t *testing.T) {
	t.Run("results that Redis refuses hold up the fetching", func(t *testing.T) {
		t.Parallel()
		const threads, jobs = 10, 2000
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Concurrency: threads, Queues: queues("a")}}
		s.handleNumber("Fails",
			func(context.Context, int) error { return errors.New("to be retried") })
		s.raw.Set(t.Context(), "retry", "of another program", 0)
		s.fill("a", "Fails", jobs, 0)
		s.start(s.store)
		s.until("jobs are taken", func() bool { return s.waiting("a") < jobs })
		s.holds(2*time.Second, fmt.Sprintf("at most %d jobs are in flight", threads), func() bool {
			return s.inFlight() <= threads
		})
		s.raw.Del(t.Context(), "retry")
		s.until("all are in the retry set", func() bool { return s.size("retry") == jobs })
	})
}

// Point 12. Not parallel: it looks at the memory of the whole test.
func TestPromiseMemory(t *testing.T) {
	t.Run("a long job keeps its own payload alive, not its batch", func(t *testing.T) {
		const jobs, size = 100, 500_000
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Concurrency: jobs, Queues: queues("a")}}
		s.config.NoJobLog = true
		ends, all := s.gate(), s.gate()
		s.handleNumber("Job", func(_ context.Context, i int) error {
			all.pass()
			if i == jobs/2 {
				ends.pass()
			}
			return nil
		})
		s.fill("a", "Job", jobs, size)
		before := heap()
		p := s.start(s.store)
		s.until("all run", func() bool { return p.Status().Busy == jobs })
		all.open()
		s.until("all but one are settled", func() bool {
			return s.inFlight() == 1 && p.Status().Busy == 1
		})
		const bound = 10 * size
		var grown int64
		for range 20 { // the runtime frees what a pool keeps only little by little
			if grown = heap() - before; grown < bound {
				break
			}
			<-time.After(50 * time.Millisecond)
		}
		if grown >= bound {
			t.Errorf("one job of %d kB runs, and the heap has grown by %d kB",
				size/1000, grown/1000)
		}
	})
}

// heap is how many bytes of it are alive.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
