package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

func TestFetcher(t *testing.T) {
	t.Parallel()
	t.Run("waits longer after each failure, and asks for less", func(t *testing.T) {
		synctest.Test(t, pacesItself)
	})
	t.Run("takes a burst over a slow network in batches, and then sleeps", burstInBatches)
	t.Run("looks into an empty queue once by weight, not once per thread", weightedOnce)
	t.Run("starts jobs whose batch takes longer than a timeout", bigFetch)
	t.Run("serves other queues while one has a wrong type", brokenQueue)
	t.Run("serves other queues while jobs of one cannot be delivered", brokenInFlight)
}

// TestPayload is not parallel, because it looks at the memory of the whole test program.
func TestPayload(t *testing.T) {
	t.Run("a long job keeps its own in memory, and not those of its batch", longJobsMemory)
}

func pacesItself(t *testing.T) {
	l, owner := newTestLedger(3)
	log := slog.New(slog.DiscardHandler)
	o := newOutage(log)
	f := newFetcher(&Capsule{Concurrency: 3, Queues: queues("x")}, l.pools[0],
		[]*shard{{ledger: l, outage: o, bells: newDoorbells(l, o, log, nil), log: log}}, log, nil)
	s := f.shards[0]
	if got := f.patience(); got != turnEvery {
		t.Errorf("with nothing to do it waits %v, want %v", got, turnEvery)
	}
	for i, most := range []time.Duration{50, 100, 200} {
		s.judge(&protocol.Trip{Owner: owner, Err: errors.New("gone")})
		most *= time.Millisecond
		if got := f.patience(); got < most/2 || got > most {
			t.Errorf("after failure %d it waits %v, want %v to %v", i+1, got, most/2, most)
		}
	}
	if want := fetchPage.Halved().Halved().Halved(); s.pace.page != want {
		t.Errorf("the next page is %+v, want %+v", s.pace.page, want)
	}
	<-time.After(time.Second)
	s.judge(&protocol.Trip{Owner: owner, Took: time.Millisecond})
	if want := fetchPage.Halved().Halved(); s.pace.page != want {
		t.Errorf("after a success the next page is %+v, want %+v", s.pace.page, want)
	}
	if s.pace.wait.failures != 0 || o.last() != nil {
		t.Errorf("after a success: %d failures, %v", s.pace.wait.failures, o.last())
	}
}

// Two fetches that were under way when the queue became empty each returned while the other was
// under way, and were made again, for ever. And a bell took longer to ring than the fetcher waited
// for more jobs, so that a burst was taken one job at a time.
func burstInBatches(t *testing.T) {
	t.Parallel()
	const bursts, jobs = 3, 1000
	b := newBench(t)
	b.config.Capsules = []Capsule{{Name: "wide", Concurrency: 100, Queues: queues("a")}}
	b.config.NoJobLog = true
	Handle(b.mux, "Job", func(_ context.Context, ms int) error {
		<-time.After(time.Duration(ms) * time.Millisecond) // the work
		return nil
	})
	store, proxy := b.proxied()
	proxy.Delay(2 * time.Millisecond)
	b.startOn(store)
	args := make([][]any, jobs)
	for i := range args {
		args[i] = []any{i * 7 % 8}
	}
	before := b.calls("blmove")
	for range bursts {
		if _, err := b.client.PushBulk(t.Context(), "Job", args,
			queue.Options{Queue: "a"}); err != nil {
			t.Fatal(err)
		}
		b.until("it sleeps", func() bool { return b.bells() == 1 && b.empty() })
	}
	if n := b.calls("blmove") - before; n > bursts*jobs/10 {
		t.Errorf("%d of %d jobs were taken one by one", n, bursts*jobs)
	}
}

// fetches is an Observer that counts fetches.
type fetches struct{ n atomic.Int64 }

func (f *fetches) Fetched(time.Duration, int, error) { f.n.Add(1) }
func (f *fetches) Ran(JobRun)                        {}
func (f *fetches) Settled(time.Duration, int, error) {}
func (f *fetches) Reclaimed(int, int)                {}

func weightedOnce(t *testing.T) {
	t.Parallel()
	const many = 200
	b, counted := newBench(t), new(fetches)
	capsule := Capsule{Concurrency: 1000}
	for i := range many {
		q := QueueWeight{Name: fmt.Sprint("q", i), Weight: 1 + i%3}
		capsule.Queues = append(capsule.Queues, q)
	}
	b.config.Capsules, b.config.Observer = []Capsule{capsule}, counted
	p := b.start()
	b.until("it has fetched", func() bool { return counted.n.Load() > 0 && p.Status().Ready })
	p.stop()
	pops, n := b.calls("rpop"), counted.n.Load()
	if pops > many*n+20 { // each beat has one or two of its own
		t.Errorf("%d fetches of %d empty queues took %d RPOP, want at most one per queue", n, many,
			pops)
	}
}

func bigFetch(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 3, 2_600_000, 2_200_000 // 3.5 s; Redis may be silent for 3 s
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: jobs, Queues: queues("a")}}
	store, proxy := b.proxied()
	var started atomic.Int64
	b.handleNumber("Big", func(context.Context, int) error { started.Add(1); return nil })
	b.fill("a", "Big", jobs, size)
	proxy.Bandwidth(rate)
	b.startOn(store)
	b.until("all have run", func() bool { return started.Load() >= jobs && b.empty() })
	if n := started.Load(); n != jobs {
		t.Errorf("%d starts of %d jobs", n, jobs)
	}
}

func brokenQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var others atomic.Int64
	b.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	b.raw.Set(t.Context(), "queue:a", "of another program", 0)
	b.launch(b.store)
	for i := range 3 {
		b.fill("b", "Other", 5, 0)
		b.until("the queue below it is served",
			func() bool { return others.Load() == int64(5*(i+1)) })
	}
}

func brokenInFlight(t *testing.T) {
	t.Parallel()
	const jobs = 50
	b := newBench(t)
	b.config.Capsules[0].Concurrency = jobs
	var ran, others atomic.Int64
	b.handleNumber("Job", func(context.Context, int) error { ran.Add(1); return nil })
	b.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	p := b.start()
	b.until("it sleeps", func() bool { return b.bells() == 2 })
	key := inflightKey("a", p.Status().Identity)
	b.raw.Set(t.Context(), key, "of another program", 0)
	b.fill("a", "Job", jobs, 0)
	b.fill("b", "Other", 5, 0)
	b.until("the other queue is served", func() bool { return others.Load() == 5 })
	b.raw.Del(t.Context(), key)
	b.until("all have run", func() bool { return ran.Load() >= jobs && b.empty() })
}

func longJobsMemory(t *testing.T) {
	const jobs, size = 40, 200_000 // all in one fetch
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: jobs, Queues: queues("a")}}
	ends, all := b.gate(), b.gate()
	b.handleNumber("Job", func(_ context.Context, i int) error {
		all.pass()
		if i == jobs/2 {
			ends.pass()
		}
		return nil
	})
	b.fill("a", "Job", jobs, size)
	before := heap()
	p := b.start()
	b.until("all run", func() bool { return p.Status().Busy == jobs })
	all.open()
	b.until("all but one are settled", func() bool {
		return b.inFlight() == 1 && p.Status().Busy == 1
	})
	const most = jobs / 4 * size
	var grown int64
	for range 20 { // the runtime frees only little by little what a pool keeps
		if grown = heap() - before; grown < most {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Errorf("one job of %d kB runs, and the heap has grown by %d kB", size/1000, grown/1000)
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
