package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

// heldAfterLeave counts what an owner holds in queue a that has given up its lease. In one
// script: between two calls a reclaimer could take it.
var heldAfterLeave = redis.NewScript(`
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) >= 0 then return 0 end
return redis.call('HLEN', KEYS[2])`)

// Point 6. A stop gives up the lease last: who finds a lease given up takes what is still
// in flight for work of a dead process, and runs it again.
func TestPromiseCleanStop(t *testing.T) {
	t.Run("what has ended is settled before the lease is given up", func(t *testing.T) {
		t.Parallel()
		const jobs = 300
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Concurrency: jobs, Queues: queues("a")}}
		s.config.Timeout, s.config.Grace = 200*time.Millisecond, 5*time.Second
		store, proxy := s.link()
		var starts atomic.Int64
		s.handleNumber("Job", func(ctx context.Context, _ int) error {
			// It ends its work when it is told that its time is up.
			starts.Add(1)
			<-ctx.Done()
			return nil
		})
		s.fill("a", "Job", jobs, 0)
		p := s.start(store)
		s.config.Capsules = []worker.Capsule{{Concurrency: 1, Queues: queues("b")}}
		s.start(s.store) // a peer, which looks for dead processes
		s.until("all run", func() bool { return p.Status().Busy == jobs })
		identity := p.Status().Identity
		proxy.Delay(10 * time.Millisecond)
		proxy.Answer(faultproxy.Script("settle"), "LOADING for the test")
		p.Stop()
		s.until("results have been refused", func() bool {
			return proxy.Answered(faultproxy.Script("settle")) >= 3
		})
		proxy.Answer(faultproxy.Script("settle"), "")
		s.until("the process has gone", func() bool {
			keys := []string{"kyu:leases", inflightKey("a", identity)}
			if n, err := heldAfterLeave.Run(t.Context(), s.raw, keys, identity).Int(); err != nil ||
				n > 0 {
				t.Fatalf("%d jobs that have ended were in flight when the lease was given up (%v)",
					n, err)
			}
			return isClosed(p.ended)
		})
		s.holds(1500*time.Millisecond, "none comes back", func() bool {
			return s.waiting("a") == 0 && s.inFlight() == 0
		})
		if n := starts.Load(); n != jobs || p.Status().Stale != 0 {
			t.Errorf("%d starts of %d jobs, %d results came too late", n, jobs, p.Status().Stale)
		}
	})
}

func isClosed[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Point 17. Two fetches are on their way when the intake ends: what they bring goes back
// to the head, and the older of it lies before the newer.
func TestPromiseOrder(t *testing.T) {
	t.Run("what two late fetches bring goes back in its order", func(t *testing.T) {
		t.Parallel()
		const threads, jobs = 64, 100
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Concurrency: threads, Queues: queues("a")}}
		store, proxy := s.link()
		thirds := []*gate{s.gate(), s.gate(), s.gate()}
		s.handleNumber("Hold", func(_ context.Context, i int) error {
			thirds[i%3].pass()
			return nil
		})
		s.handleNumber("Job", func(context.Context, int) error { return nil })
		s.fill("a", "Hold", threads, 0)
		p := s.start(store)
		s.until("all threads are busy", func() bool { return p.Status().Busy == threads })
		s.fill("a", "Job", jobs, 0)
		proxy.HoldReplies(faultproxy.Script("fetch"))
		thirds[0].open()
		s.until("a fetch has taken jobs", func() bool {
			return proxy.Held() == 1 && s.count("Job") > 0
		})
		thirds[1].open()
		// Where one fetch goes at a time there is no second.
		for wait := time.After(time.Second); proxy.Held() < 2 && !isClosed(wait); {
			<-time.After(5 * time.Millisecond)
		}
		p.Quiet()
		proxy.HoldReplies("")
		for proxy.Held() > 0 {
			proxy.Release()
			<-time.After(50 * time.Millisecond) // its reply comes before the next
		}
		thirds[2].open()
		p.Stop()
		p.endsWithin(10 * time.Second)
		if got := s.numbers("a"); len(got) != jobs || !slices.IsSorted(got) {
			t.Errorf("in the queue, the next first: %v", got)
		}
	})
}

// numbers are the arguments of the jobs in a queue, the next to be taken first.
func (s *stage) numbers(q string) (list []int) {
	for _, raw := range s.raw.LRange(s.Context(), "queue:"+q, 0, -1).Val() {
		_, rest, _ := strings.Cut(raw, `"args":[`)
		n := -1
		fmt.Sscanf(rest, "%d", &n)
		list = append(list, n)
	}
	slices.Reverse(list)
	return list
}

// Point 17.
func TestPromiseOrders(t *testing.T) {
	t.Run("a TERM comes through though the replies that tell of it are lost", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.config.Lease = 10 * time.Second
		store, proxy := s.link()
		p := s.start(store)
		identity := p.Status().Identity
		s.until("it is published", func() bool {
			return s.raw.Exists(t.Context(), identity).Val() == 1
		})
		proxy.DropEvery(faultproxy.Script("beat"), 1)
		if err := inspect.New(s.store).Signal(t.Context(), identity, "TERM"); err != nil {
			t.Fatal(err)
		}
		lost := proxy.Dropped()
		s.until("two beats' replies are lost", func() bool { return proxy.Dropped() >= lost+2 })
		proxy.DropReply("", 0)
		p.endsWithin(6 * time.Second)
	})

	t.Run("a Quiet before Run holds", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.handleNumber("Job", func(context.Context, int) error { return nil })
		s.fill("a", "Job", 1, 0)
		p := s.make(s.store)
		p.Quiet()
		go p.run()
		t.Cleanup(func() { p.Stop(); <-p.ended })
		s.holds(1500*time.Millisecond, "no job is taken",
			func() bool { return s.waiting("a") == 1 })
		if !p.Status().Quiet {
			t.Error("it does not say that it is quiet")
		}
		p.Stop()
		p.endsWithin(5 * time.Second)
	})

	t.Run("a second Run is an error and harms nothing", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.handleNumber("Job", func(context.Context, int) error { return nil })
		p := s.start(s.store)
		p.Stop()
		p.endsWithin(5 * time.Second)
		s.fill("a", "Job", 1, 0)
		again := make(chan error, 1)
		go func() { again <- p.runOnce() }()
		select {
		case err := <-again:
			if err == nil || strings.Contains(err.Error(), errPanicked.Error()) {
				t.Errorf("the second Run: %v, want an error", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the second Run does not return")
		}
		if s.waiting("a") != 1 {
			t.Error("the second Run took a job")
		}
	})
}
