package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/worker"
)

// Point 2. Jobs of a lost identity end while jobs of the new one run: none of these may
// be taken out of Redis for them.
func TestPromiseNewIdentity(t *testing.T) {
	t.Run("an acknowledgement of the old one takes no running job away", func(t *testing.T) {
		t.Parallel()
		const victims, threads = 10, 24
		s := newStage(t)
		s.config.Capsules = []worker.Capsule{{Concurrency: threads, Queues: queues("a")}}
		oldEnded, ends := s.handleOldAndVictims()
		s.fill("a", "Old", victims, 0)
		s.fill("a", "Hold", threads-victims, 0)
		p := s.start(s.store)
		s.until("all threads are busy and no bell hangs", func() bool {
			return s.inFlight() == threads && s.bells() == 0
		})
		s.fill("a", "Victim", victims, 0)
		before := p.fence()
		s.raw.Del(t.Context(), inflightKey("a", before)) // a peer has taken them
		p.renewedFrom(before)
		s.until("the victims run", func() bool {
			return p.Status().Busy == 2*victims && s.count("Victim") == victims
		})
		for oldEnded.Load() < victims {
			s.fill("a", "Short", 1000, 0)
			s.until("the short ones are settled", func() bool {
				return s.waiting("a") == 0 && s.count("Short") == 0
			})
		}
		if n := s.count("Victim"); n != victims {
			t.Errorf("%d jobs run, and %d of them are in Redis", victims, n)
		}
		ends.open()
		s.until("nothing runs", func() bool { return p.Status().Busy == 0 && s.inFlight() == 0 })
		if n := s.size("retry"); n != victims {
			t.Errorf("%d jobs have failed, and %d of them are in the retry set", victims, n)
		}
	})
}

// handleOldAndVictims registers Old, which ends well when a Short lets it, whatever its
// context says; Hold, which ends with its context; and Victim, which fails when the gate
// opens.
func (s *stage) handleOldAndVictims() (oldEnded *atomic.Int64, ends *gate) {
	old, ends, oldEnded := make(chan struct{}), s.gate(), new(atomic.Int64)
	s.handleNumber("Old", func(context.Context, int) error {
		select {
		case <-old:
		case <-ends.c:
		}
		oldEnded.Add(1)
		return nil
	})
	s.handleNumber("Short", func(_ context.Context, i int) error {
		if i%100 == 0 {
			select {
			case old <- struct{}{}:
			default:
			}
		}
		return nil
	})
	s.handleNumber("Hold", func(ctx context.Context, _ int) error { return ends.passOr(ctx) })
	s.handleNumber("Victim", func(context.Context, int) error {
		ends.pass()
		return errors.New("to be retried")
	})
	return oldEnded, ends
}

// count is how many jobs of a class Redis has as delivered to workers.
func (s *stage) count(class string) (n int) {
	for _, key := range s.raw.Keys(s.Context(), "kyu:{queue:*inflight*").Val() {
		for _, raw := range s.raw.HVals(s.Context(), key).Val() {
			if strings.Contains(raw, fmt.Sprintf(`"class":%q`, class)) {
				n++
			}
		}
	}
	return n
}

// Point 3.
func TestPromiseFencedProcess(t *testing.T) {
	t.Run("what a doorbell brings does not run under the fenced identity", fencedBell)
	t.Run("an identity that died once is not counted again for what a doorbell brings",
		fencedInnocent)
	t.Run("what an old fetch brings does not run beside its second run", fencedReply)
	t.Run("nothing starts while it takes a new identity", fencedStart)
}

func fencedBell(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var p *play
	ran := make(chan string, 10)
	s.handleNumber("Job", func(context.Context, int) error {
		ran <- p.Status().Identity
		return nil
	})
	p = s.make(s.store)
	go p.run()
	t.Cleanup(func() { p.Stop(); <-p.ended })
	<-p.Running()
	s.until("it sleeps", func() bool {
		return s.bells() == 2
	})
	before := p.fence()
	s.fill("a", "Job", 1, 0)
	select {
	case under := <-ran:
		if under == before {
			t.Error("it ran under an identity that had been declared dead")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it has not run")
	}
	s.until("it is settled", s.empty)
}

func fencedInnocent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	store, proxy := s.link()
	ends := s.gate()
	var done atomic.Int64
	s.handleNumber("Innocent", func(ctx context.Context, _ int) error {
		if err := ends.passOr(ctx); err != nil {
			return err
		}
		done.Add(1)
		return nil
	})
	s.fill("a", "Innocent", 1, 0)
	p := s.start(store)
	s.config.Capsules = []worker.Capsule{{Concurrency: 2, Queues: queues("other")}}
	s.start(s.store) // a peer, which watches the leases
	s.until("it runs", func() bool { return p.Status().Busy == 1 })
	proxy.Answer(faultproxy.Script("beat"), "LOADING for the test")
	s.until("the silent process is fenced", func() bool {
		end, there := s.score(p.Status().Identity)
		return there && end < 0
	})
	// One identity has died with it. Two more need four seconds of silence to die.
	s.holds(3*time.Second, "the job is not buried", func() bool { return s.size("dead") == 0 })
	proxy.Answer(faultproxy.Script("beat"), "")
	ends.open()
	s.until("it runs to its end", func() bool { return done.Load() > 0 && s.empty() })
}

func fencedReply(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.config.Capsules = []worker.Capsule{{Concurrency: 1, Queues: queues("a")}}
	store, proxy := s.link()
	first, ends := s.gate(), s.gate()
	var running, most, done atomic.Int64
	s.handleNumber("First", func(context.Context, int) error { first.pass(); return nil })
	s.handleNumber("Job", func(context.Context, int) error {
		most.Store(max(most.Load(), running.Add(1)))
		ends.pass()
		running.Add(-1)
		done.Add(1)
		return nil
	})
	s.fill("a", "First", 1, 0)
	s.fill("a", "Job", 1, 0)
	p := s.start(store)
	s.until("the first runs", func() bool { return p.Status().Busy == 1 })
	proxy.HoldReplies(faultproxy.Script("fetch"))
	first.open()
	s.until("a fetch has taken the job", func() bool {
		return proxy.Held() > 0 && s.count("Job") == 1
	})
	proxy.HoldReplies("")
	before := p.fence()
	s.until("the process knows it", func() bool {
		const told = "lease of this process is lost"
		return p.Status().Identity != before || strings.Contains(s.log.String(), told)
	})
	proxy.Release()
	s.start(s.store) // has a free thread for what is reclaimed
	s.until("it runs", func() bool { return running.Load() > 0 })
	s.holds(3*time.Second, "it runs once at a time", func() bool { return most.Load() == 1 })
	ends.open()
	s.until("it is done", func() bool { return done.Load() > 0 && s.empty() })
}

func fencedStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.config.Capsules = []worker.Capsule{{Concurrency: 1, Queues: queues("a")}}
	store, proxy := s.link()
	first := s.gate()
	var runs atomic.Int64
	s.handleNumber("First", func(context.Context, int) error { first.pass(); return nil })
	s.handleNumber("Job", func(context.Context, int) error { runs.Add(1); return nil })
	s.fill("a", "First", 1, 0)
	s.fill("a", "Job", 1, 0)
	p := s.start(store)
	s.until("the first runs", func() bool { return p.Status().Busy == 1 })
	proxy.HoldReplies(faultproxy.Script("fetch"))
	first.open()
	s.until("a fetch has taken the job", func() bool {
		return proxy.Held() > 0 && s.count("Job") == 1
	})
	proxy.HoldReplies(faultproxy.Script("register"))
	p.fence()
	s.until("it asks for a new identity", func() bool { return proxy.Held() == 2 })
	proxy.Release() // the fetch's
	s.holds(200*time.Millisecond, "nothing has started", func() bool { return runs.Load() == 0 })
	proxy.HoldReplies("")
	proxy.Release()
	s.until("it has run", func() bool { return runs.Load() == 1 && s.empty() })
}

// Point 4. All connections for pushes wait for a replica that does not answer.
func TestPromiseLease(t *testing.T) {
	t.Run("it holds while handlers fill the pool with pushes", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		store := s.server.Store(func(c *queue.Config) { c.WaitReplicas = 1 })
		s.config.Capsules = []worker.Capsule{{Concurrency: 60, Queues: queues("a")}}
		client, ends := queue.NewClient(store), s.gate()
		s.handleNumber("Fan", func(ctx context.Context, i int) error {
			for ctx.Err() == nil {
				select {
				case <-ends.c:
					return nil
				default:
					// It fails: no replica has it.
					client.Push(ctx, "Child", []any{i}, queue.Options{Queue: "children"})
				}
			}
			return ctx.Err()
		})
		s.fill("a", "Fan", 60, 0)
		p := s.start(store)
		identity := p.Status().Identity
		s.until("all push", func() bool { return p.Status().Busy == 60 })
		s.holds(6*time.Second, "the lease holds", func() bool { return s.leased(identity) })
	})

	t.Run("it holds while a heartbeat hook takes its time", func(t *testing.T) { // point 7
		t.Parallel()
		s := newStage(t)
		ends := s.gate()
		s.config.Hooks.Heartbeat = []func(context.Context) error{ends.hook}
		p := s.start(s.store)
		identity := p.Status().Identity
		s.holds(4*time.Second, "the lease holds", func() bool { return s.leased(identity) })
	})

	t.Run("none is taken that a slow startup hook lets lapse", func(t *testing.T) { // point 17
		t.Parallel()
		s := newStage(t)
		ends := s.gate()
		s.config.Hooks.Startup = []func(context.Context) error{ends.hook}
		s.launch(s.store)
		s.holds(4*time.Second, "no lease has ended", func() bool {
			leases, err := s.store.Leases(t.Context())
			return err == nil && (len(leases) == 0 || !leases[0].Ended)
		})
	})
}

// leased reports whether an identity has a lease that has not ended.
func (s *stage) leased(identity string) bool {
	leases, err := s.store.Leases(s.Context())
	for _, l := range leases {
		if l.Identity == identity {
			return !l.Ended && !l.Fenced
		}
	}
	return err != nil // not known
}

// Point 17. An iteration whose process lost the lease goes on elsewhere: its place is
// not deleted under the other's feet.
func TestPromiseIteration(t *testing.T) {
	t.Run("its end leaves the place alone once the lease is lost", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ends, reached := s.gate(), make(chan string, 1)
		worker.HandleIterable(s.mux, "Walk", worker.Iterable[[]int, int, int]{
			Items: func(_ context.Context, _ []int, _ *int, yield func(int, int) bool) error {
				yield(1, 1)
				return nil
			},
			Each: func(ctx context.Context, _ []int, _ int) error { // does not look at its context
				reached <- queue.JobFrom(ctx).JID
				ends.pass()
				return nil
			},
		})
		s.fill("a", "Walk", 1, 0)
		p := s.start(s.store)
		jid := <-reached
		before := p.fence()
		// a peer has taken it, and is at its second step
		s.raw.Del(t.Context(), inflightKey("a", before))
		place := queue.Iteration{Executions: 2, Cursor: []byte("2")}
		if _, err := s.store.SaveIteration(t.Context(), jid, place); err != nil {
			t.Fatal(err)
		}
		p.renewedFrom(before)
		ends.open()
		s.until("the run has ended", func() bool {
			return p.Status().Busy == 0 && p.Status().Stale == 1
		})
		if _, found, err := s.store.Iteration(t.Context(), jid); err != nil || !found {
			t.Errorf("the place of the run that goes on elsewhere is gone (%v)", err)
		}
	})
}
