package worker

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
)

func TestAuditor(t *testing.T) {
	t.Parallel()
	t.Run("takes no job of one capsule for a lost one of another", sharedQueue)
}

// After lost connections a process asks Redis for jobs that the ledger does not know. What another
// of its capsules runs is not such a job.
func sharedQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules = []Capsule{
		{Name: "default", Concurrency: 5, Queues: queues("a", "b")},
		{Name: "more", Concurrency: 5, Queues: queues("a")}}
	store, proxy := b.proxied()
	var starts, dones atomic.Int64
	ends := b.gate()
	b.handleNumber("Long", func(context.Context, int) error {
		starts.Add(1)
		ends.pass()
		dones.Add(1)
		return nil
	})
	b.fill("a", "Long", 3, 0)
	p := b.startOn(store)
	b.until("they run", func() bool { return starts.Load() == 3 })
	for range 3 {
		b.until("both capsules sleep", func() bool { return b.bells() >= 2 })
		proxy.Cut()
		b.always(500*time.Millisecond, "each job has started once", func() bool {
			return starts.Load() == 3
		})
	}
	ends.open()
	b.until("all are done", func() bool { return dones.Load() == 3 && b.empty() })
	if n := p.Status().Stale; n != 0 {
		t.Errorf("%d of 3 results came too late", n)
	}
}

// Every reply that is lost is a job that could be lost, run twice or stay in flight for ever.
func TestLostReply(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"fetch", "settle", "promote", "beat", "publish", "reclaim",
		"fence", "blmove"} {
		t.Run(command+" loses no job", func(t *testing.T) { losesReplies(t, command) })
	}
}

func losesReplies(t *testing.T, command string) {
	t.Parallel()
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	store, proxy := b.proxied()
	var runs list
	b.handle("Job", func(ctx context.Context) error {
		runs.add(queue.JobFrom(ctx).JID)
		return nil
	})
	o := b.owner("gone:1:abc", "a", time.Millisecond)
	b.push("Job", nil, queue.Options{JID: "reclaimed"})
	b.take(o, "a")
	b.startOn(store)
	match := command
	if command != "blmove" {
		match = faultproxy.Script(command)
	}
	pushed := []string{"reclaimed"}
	for round := range 5 {
		proxy.DropReply(match, 1+round%2)
		pushed = append(pushed, b.pushRound(round)...)
		b.until("all but the reclaimed one have run", func() bool {
			return containsAll(runs.get(), pushed[1:])
		})
	}
	if command != "reclaim" && command != "fence" { // these happen once, perhaps before
		b.until("a reply was lost: otherwise this test shows nothing",
			func() bool { return proxy.Dropped() > 0 })
	}
	b.until("the reclaimed one has run", func() bool { return containsAll(runs.get(), pushed) })
	b.until("nothing stays in flight", b.empty)
	if n := runs.len(); n > len(pushed)+proxy.Dropped()*5 {
		t.Errorf("%d runs of %d jobs for %d lost replies", n, len(pushed), proxy.Dropped())
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("a job failed because Redis did")
	}
}

// pushRound pushes four jobs for now, and one for 20 ms later.
func (b *bench) pushRound(round int) (jids []string) {
	b.Helper()
	for i := range 4 {
		jids = append(jids, b.push("Job", nil, queue.Options{JID: fmt.Sprintf("%d-%d", round, i)}))
	}
	return append(jids, b.push("Job", nil, queue.Options{JID: fmt.Sprint("s", round),
		At: time.Now().Add(20 * time.Millisecond)}))
}

// containsAll reports whether all strings of want are in got.
func containsAll(got, want []string) bool {
	for _, s := range want {
		if !slices.Contains(got, s) {
			return false
		}
	}
	return true
}
