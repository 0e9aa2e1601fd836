package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/redis/go-redis/v9"
)

func TestOwnership(t *testing.T) {
	t.Parallel()
	t.Run("a lease that is not extended cancels the jobs, and an extension lets others start",
		func(t *testing.T) { synctest.Test(t, lapses) })
	t.Run("a lost lease cancels the jobs, and the process takes a new identity", losesLease)
	t.Run("an acknowledgement of the old identity takes no running job away", oldAcks)
	t.Run("a job that lands with an identity that Redis has forgotten is found", landsForgotten)
	t.Run("no startup hook delays the lease", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.config.Lease = 2 * time.Second
		b.config.Hooks.Startup = []func(context.Context) error{b.gate().hook}
		b.launch(b.store)
		b.always(3*time.Second, "no lease has ended", func() bool {
			leases, err := b.store.Leases(t.Context())
			return err == nil && (len(leases) == 0 || !leases[0].Ended)
		})
	})
	t.Run("no heartbeat hook delays a beat", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.config.Lease = 3 * time.Second
		b.config.Hooks.Heartbeat = []func(context.Context) error{b.gate().hook}
		identity := b.start().Status().Identity
		b.always(4*time.Second, "the lease is valid", func() bool { return b.leased(identity) })
	})
	t.Run("no push of a handler delays a beat", pushesFillThePool)
}

func lapses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	o := newOwnership(nil, queue.Host{}, nil, 10*time.Second, newOutage(log), log)
	o.jobs = t.Context()
	o.epoch, o.cancel = context.WithCancelCause(o.jobs)
	o.extended(time.Now())
	before := o.context()
	<-time.After(10*time.Second - time.Millisecond)
	if !o.valid(time.Now()) {
		t.Error("the lease ends before its length is over")
	}
	<-time.After(time.Millisecond)
	if o.valid(time.Now()) {
		t.Error("the lease is valid after its length")
	}
	o.lapse()
	if cause := context.Cause(before); !errors.Is(cause, queue.ErrLeaseLost) {
		t.Errorf("the context of the jobs ended with %v, want ErrLeaseLost", cause)
	}
	o.extended(time.Now().Add(-time.Second)) // the beat was sent a second ago
	if err := o.context().Err(); err != nil {
		t.Errorf("a new job has a context that has ended: %v", err)
	}
	if now := time.Now(); !o.valid(now.Add(9*time.Second-1)) || o.valid(now.Add(9*time.Second)) {
		t.Error("the lease does not count from when the beat was sent")
	}
}

func losesLease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	causes := make(chan error, 1)
	var first atomic.Bool
	var runs list
	b.handle("Job", func(ctx context.Context) error {
		runs.add("run")
		if first.CompareAndSwap(false, true) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}
		return nil
	})
	p := b.start()
	b.push("Job", nil, queue.Options{})
	b.until("it runs", func() bool { return runs.len() == 1 })
	// Another process finds that the lease has ended, and takes the job.
	old := p.Status().Identity
	b.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -float64(time.Now().UnixMilli()),
		Member: old})
	if _, _, err := b.store.Reclaim(t.Context(), old, "a", queue.Poison{}, 50); err != nil {
		t.Fatal(err)
	}
	if err := <-causes; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("the context ended with %v, want ErrLeaseLost", err)
	}
	b.until("it has run again", func() bool { return runs.len() == 2 && b.empty() })
	if p.Status().Identity == old {
		t.Error("the process goes on under the old identity")
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("the process that lost the lease has settled the job")
	}
	b.until("the late result is counted", func() bool { return p.Status().Stale == 1 })
}

// Jobs of a lost identity end while jobs of the new one run. Their acknowledgements must not take
// the running jobs out of flight.
func oldAcks(t *testing.T) {
	t.Parallel()
	const victims, threads = 10, 24
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: threads, Queues: queues("a")}}
	b.config.NoJobLog = true
	oldEnded, ends := b.handleOldAndVictims()
	b.fill("a", "Old", victims, 0)
	b.fill("a", "Hold", threads-victims, 0)
	p := b.start()
	b.until("all threads are busy and no bell hangs", func() bool {
		return b.inFlight() == threads && b.bells() == 0
	})
	b.fill("a", "Victim", victims, 0)
	before := p.fence()
	b.raw.Del(t.Context(), inflightKey("a", before)) // another process has taken them
	p.renewedFrom(before)
	b.until("the victims run", func() bool {
		return p.Status().Busy == 2*victims && b.count("Victim") == victims
	})
	for oldEnded.Load() < victims {
		b.fill("a", "Short", 1000, 0)
		b.until("the short ones are settled", func() bool {
			return b.waiting("a") == 0 && b.count("Short") == 0
		})
	}
	if n := b.count("Victim"); n != victims {
		t.Errorf("%d jobs run, and %d of them are in Redis", victims, n)
	}
	ends.open()
	b.until("nothing runs", func() bool { return p.Status().Busy == 0 && b.inFlight() == 0 })
	if n := b.size("retry"); n != victims {
		t.Errorf("%d jobs have failed, and %d of them are in the retry set", victims, n)
	}
}

// handleOldAndVictims registers four classes. An Old ends well when a Short lets it, and ignores
// its context. A Hold ends with its context. A Victim fails when the gate opens.
func (b *bench) handleOldAndVictims() (oldEnded *atomic.Int64, ends *gate) {
	old, ends, oldEnded := make(chan struct{}), b.gate(), new(atomic.Int64)
	b.handleNumber("Old", func(context.Context, int) error {
		select {
		case <-old:
		case <-ends.c:
		}
		oldEnded.Add(1)
		return nil
	})
	b.handleNumber("Short", func(_ context.Context, i int) error {
		if i%100 == 0 {
			select {
			case old <- struct{}{}:
			default:
			}
		}
		return nil
	})
	b.handleNumber("Hold", func(ctx context.Context, _ int) error { return ends.passOr(ctx) })
	b.handleNumber("Victim", func(context.Context, int) error {
		ends.pass()
		return errors.New("to be retried")
	})
	return oldEnded, ends
}

func landsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	var runs list
	b.handle("Job", runs.adds("ran"))
	p := b.start()
	b.until("it sleeps", func() bool { return b.bells() == 2 })
	old := p.Status().Identity
	b.raw.FlushAll(t.Context())
	b.push("Job", nil, queue.Options{}) // a bell of the old identity takes it
	b.until("it has run", func() bool { return runs.len() == 1 })
	if p.Status().Identity == old {
		t.Error("the process goes on under an identity that Redis does not know")
	}
}

// All connections for pushes wait for a replica, which does not answer.
func pushesFillThePool(t *testing.T) {
	t.Parallel()
	const threads = 60
	b := newBench(t)
	b.config.Lease = 3 * time.Second
	b.config.Capsules = []Capsule{{Concurrency: threads, Queues: queues("a")}}
	store := b.server.Store(func(c *queue.Config) { c.WaitReplicas = 1 })
	client, ends := queue.NewClient(store), b.gate()
	b.handleNumber("Fan", func(ctx context.Context, i int) error {
		for ctx.Err() == nil && !isClosed(ends.c) {
			// The push fails, because there is no replica.
			client.Push(ctx, "Child", []any{i}, queue.Options{Queue: "children"})
		}
		return ctx.Err()
	})
	b.fill("a", "Fan", threads, 0)
	p := b.startOn(store)
	identity := p.Status().Identity
	b.until("all push", func() bool { return p.Status().Busy == threads })
	b.always(6*time.Second, "the lease is valid", func() bool { return b.leased(identity) })
}

func TestFencedProcess(t *testing.T) {
	t.Parallel()
	t.Run("runs no job under the fenced identity that a bell brings", fencedBell)
	t.Run("does not die twice by what a bell brings", fencedOnce)
	t.Run("runs no job beside its second run that an old fetch brings", fencedReply)
	t.Run("starts nothing while it takes a new identity", fencedStart)
}

func fencedBell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var p *process
	identities := make(chan string, 10)
	b.handle("Job", func(context.Context) error {
		identities <- p.Status().Identity
		return nil
	})
	p = b.make(b.store)
	p.launch()
	b.until("it sleeps", func() bool { return b.bells() == 2 })
	before := p.fence()
	b.push("Job", nil, queue.Options{})
	select {
	case under := <-identities:
		if under == before {
			t.Error("it ran under an identity that had been declared dead")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it has not run")
	}
	b.until("it is settled", b.empty)
}

// fencedOnce lets the lease of a process end while its job runs. The crash counts once for the job,
// which is not poison then.
func fencedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	store, proxy := b.proxied()
	ends := b.gate()
	var done atomic.Int64
	b.handleNumber("Innocent", func(ctx context.Context, _ int) error {
		if err := ends.passOr(ctx); err != nil {
			return err
		}
		done.Add(1)
		return nil
	})
	b.fill("a", "Innocent", 1, 0)
	p := b.startOn(store)
	b.config.Capsules = []Capsule{{Concurrency: 2, Queues: queues("other")}}
	b.start() // another process, which looks for dead owners
	b.until("it runs", func() bool { return p.Status().Busy == 1 })
	proxy.Answer(faultproxy.Script("beat"), "LOADING for the test")
	b.until("the silent process is fenced", func() bool {
		end, found := b.score(p.Status().Identity)
		return found && end < 0
	})
	// One identity has died with the job. Two more would need four seconds of silence to die.
	b.always(3*time.Second, "the job is not dead", func() bool { return b.size("dead") == 0 })
	proxy.Answer(faultproxy.Script("beat"), "")
	ends.open()
	b.until("it runs to its end", func() bool { return done.Load() > 0 && b.empty() })
}

// heldFetch starts a process with one thread, whose second fetch takes a Job while its reply is
// held back. Handlers of First and Job must be registered.
func (b *bench) heldFetch(first *gate) (*process, *faultproxy.Proxy) {
	b.Helper()
	b.config.Capsules = []Capsule{{Concurrency: 1, Queues: queues("a")}}
	store, proxy := b.proxied()
	b.handleNumber("First", func(context.Context, int) error { first.pass(); return nil })
	b.fill("a", "First", 1, 0)
	b.fill("a", "Job", 1, 0)
	p := b.startOn(store)
	b.until("the first runs", func() bool { return p.Status().Busy == 1 })
	proxy.HoldReplies(faultproxy.Script("fetch"))
	first.open()
	b.until("a fetch has taken the job", func() bool {
		return proxy.Held() > 0 && b.count("Job") == 1
	})
	return p, proxy
}

func fencedReply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ends := b.gate()
	var running, most, done atomic.Int64
	b.handleNumber("Job", func(context.Context, int) error {
		most.Store(max(most.Load(), running.Add(1)))
		ends.pass()
		running.Add(-1)
		done.Add(1)
		return nil
	})
	p, proxy := b.heldFetch(b.gate())
	proxy.HoldReplies("")
	before := p.fence()
	b.until("the process knows that it is fenced", func() bool {
		return p.Status().Identity != before || b.says("lease of this process is lost")
	})
	proxy.Release()
	b.start() // it has a free thread for the reclaimed job
	b.until("it runs", func() bool { return running.Load() > 0 })
	b.always(2*time.Second, "it runs once at a time", func() bool { return most.Load() == 1 })
	ends.open()
	b.until("it is done", func() bool { return done.Load() > 0 && b.empty() })
}

func fencedStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var runs atomic.Int64
	b.handleNumber("Job", func(context.Context, int) error { runs.Add(1); return nil })
	p, proxy := b.heldFetch(b.gate())
	proxy.HoldReplies(faultproxy.Script("register"))
	p.fence()
	b.until("it asks for a new identity", func() bool { return proxy.Held() == 2 })
	proxy.Release() // the reply of the fetch
	b.always(200*time.Millisecond, "nothing has started", func() bool { return runs.Load() == 0 })
	proxy.HoldReplies("")
	proxy.Release()
	b.until("it has run", func() bool { return runs.Load() == 1 && b.empty() })
}
