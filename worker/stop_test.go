package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/redis/go-redis/v9"
)

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("lets jobs finish, and puts the others back to the head of their queue", stopsInOrder)
	t.Run("settles what has ended before it gives up the lease", leavesLast)
	t.Run("puts back in its order what two late fetches bring", lateFetches)
	t.Run("keeps a job whose queue has a wrong type", brokenRequeue)
}

func stopsInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Timeout = 200 * time.Millisecond
	started, causes := make(chan string, 2), make(chan error, 1)
	b.handle("Short", func(ctx context.Context) error {
		started <- "short"
		<-time.After(50 * time.Millisecond) // the work
		return ctx.Err()
	})
	b.handle("Long", func(ctx context.Context) error {
		started <- "long"
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})
	p := b.start()
	b.push("Short", nil, queue.Options{})
	long := b.push("Long", nil, queue.Options{Retry: queue.RetryMax(0)})
	<-started
	<-started
	p.Quiet()
	b.until("it is quiet", func() bool { return p.Status().Quiet })
	b.push("Other", nil, queue.Options{})
	p.stop()
	if err := <-causes; !errors.Is(err, ErrShutdown) {
		t.Errorf("the context ended with %v, want ErrShutdown", err)
	}
	if n := b.waiting("a"); n != 2 {
		t.Errorf("%d jobs wait, want 2", n)
	}
	j := parse(t, b.raw.LIndex(t.Context(), "queue:a", -1).Val())
	if j.JID != long {
		t.Errorf("the next job is %s, want the interrupted one", j.Raw())
	}
	if _, counted := j.RetryCount(); counted || b.size("dead")+b.size("retry") != 0 {
		t.Error("the interruption cost an attempt")
	}
	if n := b.raw.SCard(t.Context(), "processes").Val(); n != 0 {
		t.Errorf("%d processes are on the web page", n)
	}
}

// leftInFlight returns how many jobs of queue a an owner has in flight that has given up its lease.
// It is one script, because a reclaimer could take the jobs between two calls.
var leftInFlight = redis.NewScript(`
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) >= 0 then return 0 end
return redis.call('HLEN', KEYS[2])`)

// A process that finds a lease given up takes what is still in flight for the work of a dead
// process, and runs it again.
func leavesLast(t *testing.T) {
	t.Parallel()
	const jobs = 300
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: jobs, Queues: queues("a")}}
	b.config.Timeout, b.config.Grace = 200*time.Millisecond, 10*time.Second
	store, proxy := b.proxied()
	var starts atomic.Int64
	b.handleNumber("Job", func(ctx context.Context, _ int) error {
		starts.Add(1)
		<-ctx.Done() // it ends well when it is told that its time is over
		return nil
	})
	b.fill("a", "Job", jobs, 0)
	p := b.startOn(store)
	b.config.Capsules = []Capsule{{Concurrency: 1, Queues: queues("b")}}
	b.start() // another process, which looks for dead owners
	b.until("all run", func() bool { return p.Status().Busy == jobs })
	identity := p.Status().Identity
	proxy.Delay(10 * time.Millisecond)
	proxy.Answer(faultproxy.Script("settle"), "LOADING for the test")
	p.Stop()
	b.until("results have been refused", func() bool {
		return proxy.Answered(faultproxy.Script("settle")) >= 3
	})
	proxy.Answer(faultproxy.Script("settle"), "")
	b.until("the process has ended", func() bool {
		keys := []string{"kyu:leases", inflightKey("a", identity)}
		n, err := leftInFlight.Run(t.Context(), b.raw, keys, identity).Int()
		if err != nil || n > 0 {
			t.Fatalf("%d jobs that have ended were in flight when the lease was given up (%v)",
				n, err)
		}
		return isClosed(p.ended)
	})
	b.always(1500*time.Millisecond, "no job comes back", func() bool {
		return b.waiting("a") == 0 && b.inFlight() == 0
	})
	if n := starts.Load(); n != jobs || p.Status().Stale != 0 {
		t.Errorf("%d starts of %d jobs, %d results came too late", n, jobs, p.Status().Stale)
	}
}

// Two fetches are under way when the intake ends. Their jobs go back to the head of the queue, and
// the older one is next.
func lateFetches(t *testing.T) {
	t.Parallel()
	const threads, jobs = 64, 100
	b := newBench(t)
	b.config.Capsules = []Capsule{{Concurrency: threads, Queues: queues("a")}}
	store, proxy := b.proxied()
	thirds := []*gate{b.gate(), b.gate(), b.gate()}
	b.handleNumber("Hold", func(_ context.Context, i int) error {
		thirds[i%3].pass()
		return nil
	})
	b.handleNumber("Job", func(context.Context, int) error { return nil })
	b.fill("a", "Hold", threads, 0)
	p := b.startOn(store)
	b.until("all threads are busy", func() bool { return p.Status().Busy == threads })
	b.fill("a", "Job", jobs, 0)
	proxy.HoldReplies(faultproxy.Script("fetch"))
	thirds[0].open()
	b.until("one fetch has taken jobs", func() bool {
		return proxy.Held() > 0 && b.count("Job") > 0
	})
	thirds[1].open()
	b.until("a second fetch is under way", func() bool { return proxy.Held() == 2 })
	p.Quiet()
	proxy.HoldReplies("")
	for proxy.Held() > 0 {
		proxy.Release()
		<-time.After(50 * time.Millisecond) // its reply comes before the next
	}
	thirds[2].open()
	p.stop()
	if got := b.numbers("a"); len(got) != jobs || !slices.IsSorted(got) {
		t.Errorf("in the queue, the next first: %v", got)
	}
}

// numbers returns the arguments of the jobs in a queue, the next to be taken first.
func (b *bench) numbers(q string) (numbers []int) {
	for _, raw := range b.raw.LRange(b.Context(), "queue:"+q, 0, -1).Val() {
		_, rest, _ := strings.Cut(raw, `"args":[`)
		n := -1
		fmt.Sscanf(rest, "%d", &n)
		numbers = append(numbers, n)
	}
	slices.Reverse(numbers)
	return numbers
}

func brokenRequeue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Timeout, b.config.Grace = 100*time.Millisecond, 100*time.Millisecond
	var starts atomic.Int64
	b.handleNumber("Job", func(ctx context.Context, _ int) error {
		if starts.Add(1) == 1 {
			<-ctx.Done()
		}
		return ctx.Err()
	})
	b.fill("a", "Job", 1, 0)
	p := b.start()
	b.until("it runs", func() bool { return starts.Load() == 1 && b.waiting("a") == 0 })
	b.raw.Set(t.Context(), "queue:a", "of another program", 0)
	p.Stop()
	p.endsWithin(15 * time.Second)
	if n := b.count("Job"); n != 1 {
		t.Errorf("%d jobs are in flight, want 1", n)
	}
	b.raw.Del(t.Context(), "queue:a")
	b.start()
	b.until("it runs to its end", func() bool { return starts.Load() == 2 && b.empty() })
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	t.Run("before Run, Run takes no job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.handleNumber("Job", func(context.Context, int) error { return nil })
		b.fill("a", "Job", 1, 0)
		p := b.make(b.store)
		p.Quiet()
		p.launch()
		b.always(1500*time.Millisecond, "no job is taken",
			func() bool { return b.waiting("a") == 1 })
		if !p.Status().Quiet {
			t.Error("the Status does not say that it is quiet")
		}
		p.stop()
	})
	t.Run("tells a running job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		begun := make(chan bool)
		b.handle("Long", func(ctx context.Context) error {
			begun <- true
			<-Quieting(ctx)
			return queue.Snooze(time.Hour)
		})
		p := b.start()
		b.push("Long", nil, queue.Options{})
		<-begun
		p.Quiet()
		b.until("it has put itself off", func() bool {
			return b.size("schedule") == 1 && b.empty()
		})
	})
}
