package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

// queues are names with the weight that makes a capsule strict.
func queues(names ...string) (list []worker.QueueWeight) {
	for _, name := range names {
		list = append(list, worker.QueueWeight{Name: name})
	}
	return list
}

// Point 1. After lost connections a process asks Redis for jobs that it does not know
// of. What another of its capsules runs is not such a job.
func TestPromiseSharedQueue(t *testing.T) {
	t.Run("the jobs of one capsule are not taken for lost by the other", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Name: "default", Concurrency: 5,
			Queues: queues("a", "b")},
			{Name: "more", Concurrency: 5, Queues: queues("a")}}
		store, proxy := s.link()
		var starts, dones atomic.Int64
		ends := s.gate()
		s.handleNumber("Long", func(context.Context, int) error {
			starts.Add(1)
			ends.pass()
			dones.Add(1)
			return nil
		})
		s.fill("a", "Long", 3, 0)
		p := s.start(store)
		s.until("they run", func() bool { return starts.Load() == 3 })
		for range 3 {
			s.until("both capsules sleep", func() bool { return s.bells() >= 2 })
			proxy.Cut()
			s.holds(700*time.Millisecond, "each job has started once", func() bool {
				return starts.Load() == 3
			})
		}
		ends.open()
		s.until("all are done", func() bool { return dones.Load() == 3 && s.empty() })
		if n := p.Status().Stale; n != 0 {
			t.Errorf("%d of 3 could not be acknowledged", n)
		}
	})
}

// Point 8. Suspects run alone, but not so that everything else stands still.
func TestPromiseSuspects(t *testing.T) {
	t.Run("they hold up neither one another nor other capsules for long", func(t *testing.T) {
		t.Parallel()
		const suspects = 20
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Name: "slow", Concurrency: 25, Queues: queues("a")},
			{Name: "high", Concurrency: 25, Queues: queues("b")}}
		var done atomic.Int64
		s.handleNumber("Suspect", func(ctx context.Context, _ int) error {
			select {
			case <-time.After(time.Second): // the work
				done.Add(1)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		s.handleNumber("High", func(context.Context, int) error { return nil })
		for i := range suspects {
			s.pushRaw(suspect("Suspect", fmt.Sprint("s", i)))
		}
		p := s.start(s.store)
		s.until("a suspect runs", func() bool { return p.Status().Busy > 0 })
		for began := time.Now(); done.Load() < suspects; {
			if took := time.Since(began); took > 12*time.Second {
				t.Fatalf("%d of %d suspects are done after %v", done.Load(), suspects,
					took.Round(time.Second))
			}
			pushed := time.Now()
			s.fill("b", "High", 1, 0)
			s.until("the other capsule's job is done", func() bool {
				return s.waiting("b") == 0 && s.count("High") == 0
			})
			if waited := time.Since(pushed); waited > 2*time.Second {
				t.Errorf("the other capsule's job waited %v", waited)
			}
			<-time.After(100 * time.Millisecond) // until the next is pushed
		}
	})
}

// fetches is an observer that counts fetches.
type fetches struct{ n atomic.Int64 }

func (f *fetches) Fetched(time.Duration, int, error) { f.n.Add(1) }
func (f *fetches) Ran(worker.JobRun)                 {}
func (f *fetches) Settled(time.Duration, int, error) {}
func (f *fetches) Reclaimed(int, int)                {}

// Point 13.
func TestPromiseWeightedFetch(t *testing.T) {
	t.Run("it looks into an empty queue once, not once per thread", func(t *testing.T) {
		t.Parallel()
		const many = 200
		s, counted := newStage(t), new(fetches)
		capsule := worker.Capsule{Concurrency: 1000}
		for i := range many {
			q := worker.QueueWeight{Name: fmt.Sprint("q", i), Weight: 1 + i%3}
			capsule.Queues = append(capsule.Queues, q)
		}
		s.config.Capsules, s.config.Observer = []worker.Capsule{capsule}, counted
		p := s.start(s.store)
		s.until("it has fetched", func() bool { return counted.n.Load() > 0 && p.Status().Ready })
		p.Stop()
		p.endsWithin(10 * time.Second)
		pops, n := s.calls("rpop"), int(counted.n.Load())
		if pops > many*n+20 { // a beat has one or two of its own
			t.Errorf("%d fetches of %d empty queues took %d RPOP, want at most one per queue",
				n, many, pops)
		}
	})
}

// Point 16.
func TestPromiseIdleCost(t *testing.T) {
	t.Run("it does not grow with the number of processes", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.config.Lease = 10 * time.Second
		s.config.PollFixed = time.Hour
		s.start(s.store)
		s.until("it sleeps", func() bool { return s.bells() == 2 })
		sent := func() int64 { return s.info("stats", "total_net_output_bytes") }
		carriedOut := func() int64 { return s.info("stats", "total_commands_processed") }
		window := func() (bytes, commands int64) {
			bytes, commands = sent(), carriedOut()
			<-time.After(3 * time.Second)
			return sent() - bytes, carriedOut() - commands
		}
		bytes, commands := window()
		s.peers(200)
		<-time.After(1500 * time.Millisecond) // it may look once who they are
		bytesMany, commandsMany := window()
		if ratio := float64(bytesMany) / float64(bytes); ratio > 1.5 {
			t.Errorf("in 3 s, alone: %d bytes of replies; beside 200 processes: %d, "+
				"%.1f times as many",
				bytes, bytesMany, ratio)
		}
		if commandsMany > commands+40 { // its record may be published in one of the windows
			t.Errorf("in 3 s, alone: %d commands; beside 200 processes: %d", commands, commandsMany)
		}
	})

	t.Run("two capsules over the same queues share their doorbells", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Name: "one", Concurrency: 2,
			Queues: queues("a", "b", "c")},
			{Name: "two", Concurrency: 2, Queues: queues("c", "b", "a")}}
		s.start(s.store)
		s.until("it sleeps", func() bool { return s.bells() >= 3 })
		s.holds(time.Second, "one connection per queue sleeps in Redis", func() bool {
			return s.bells() <= 3
		})
	})
}

// peers writes down n processes elsewhere whose leases hold.
func (s *stage) peers(n int) {
	pipe, end := s.raw.Pipeline(), float64(time.Now().Add(time.Minute).UnixMilli())
	for i := range n {
		identity := fmt.Sprintf("peer-%d.example:1:%s", i, strings.Repeat("0", 12))
		pipe.ZAdd(s.Context(), "kyu:leases", redis.Z{Score: end, Member: identity})
		pipe.HSet(s.Context(), "kyu:owner:"+identity, "queues", "a\nb",
			"host", "elsewhere", "pid", 1, "lease", time.Minute.Milliseconds())
	}
	if _, err := pipe.Exec(s.Context()); err != nil {
		s.Fatal(err)
	}
}
