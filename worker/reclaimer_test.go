package worker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

func TestReclaimer(t *testing.T) {
	t.Parallel()
	t.Run("takes the jobs of an owner whose lease has ended", endedLease)
	t.Run("judges owners by their beats when Redis's clock is set forward", func(t *testing.T) {
		clockSetBy(t, -24*time.Hour)
	})
	t.Run("judges owners by their beats when Redis's clock is set back", func(t *testing.T) {
		clockSetBy(t, time.Hour)
	})
	t.Run("takes jobs whose batch takes longer than a timeout", bigReclaim)
	t.Run("an owner that cannot be reclaimed stops no other's recovery", brokenOwners)
	t.Run("does not forget an owner without a record while it has a job", unrecordedOwner)
	t.Run("tells the death handlers of poison", poisonIsTold)
	t.Run("puts back what a dead bulk operation holds", putBack)
}

func endedLease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	o := b.owner("elsewhere:1:abc", "x", 100*time.Millisecond)
	b.push("Job", nil, queue.Options{Queue: "x"})
	b.take(o, "x")
	b.start() // it does not serve the queue, but puts the job back to it
	b.until("it is back in its queue", func() bool { return b.waiting("x") == 1 })
}

// clockSetBy lets the leases of two owners end long ago, or far in the future. The owner that beats
// is alive, and the other is dead.
func clockSetBy(t *testing.T, offset time.Duration) {
	t.Parallel()
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	for _, id := range []string{"living:1:a", "dead:1:a"} {
		o := b.owner(id, "x", time.Second)
		b.push("Job", nil, queue.Options{Queue: "x", JID: id})
		b.take(o, "x")
	}
	beat := func(id string) {
		b.raw.ZAddXX(t.Context(), "kyu:leases",
			redis.Z{Score: float64(time.Now().Add(offset).UnixMilli()), Member: id})
	}
	beat("dead:1:a")
	b.start()
	b.until("the job of the dead one is back", func() bool {
		beat("living:1:a")
		return b.waiting("x") == 1
	})
	if end, _ := b.score("living:1:a"); end < 0 {
		t.Error("the living one was declared dead")
	}
	if raw := b.raw.LIndex(t.Context(), "queue:x", 0).Val(); !strings.Contains(raw, "dead:1:a") {
		t.Errorf("in the queue is %s", raw)
	}
}

// A link that carries a batch in 3.5 s, and as long back: Redis may be silent for 3 s.
func bigReclaim(t *testing.T) {
	t.Parallel()
	const jobs, size, rate = 4, 1_000_000, 1_150_000
	b := newBench(t)
	store, proxy := b.proxied()
	payloads := make([]string, jobs)
	for i := range payloads {
		payloads[i] = payload("x", "Big", i, size)
	}
	b.deadOwner("gone:1:abc", "x", payloads...)
	proxy.Bandwidth(rate)
	b.startOn(store) // it does not serve their queue
	b.until("all are back in their queue", func() bool { return b.waiting("x") == jobs })
}

func brokenOwners(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	broken := func(identity string) {
		b.raw.Set(t.Context(), inflightKey("x", identity), "of another program", 0)
		b.deadOwner(identity, "x")
	}
	broken("first:1:a")
	b.deadOwner("second:1:a", "x", payload("x", "Job", 1, 0))
	<-time.After(2 * time.Millisecond) // so that the next lease ends later
	broken("third:1:a")
	b.start()
	b.until("the job of the second is back in its queue", func() bool {
		return b.waiting("x") == 1
	})
}

// Without a record nobody knows which queues the owner served.
func unrecordedOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const identity = "gone:1:abc"
	fenced := float64(-time.Now().Add(-2 * time.Minute).UnixMilli())
	b.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: fenced, Member: identity})
	b.raw.HSet(t.Context(), inflightKey("x", identity), "1", payload("x", "Job", 1, 0))
	b.raw.SAdd(t.Context(), "queues", "x")
	b.start()
	b.until("its job is back", func() bool {
		if _, known := b.score(identity); !known && b.waiting("x") == 0 {
			t.Fatal("it was forgotten with its job")
		}
		return b.waiting("x") == 1
	})
}

func poisonIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var deaths list
	b.config.DeathHandlers = []DeathHandler{
		func(_ context.Context, j *queue.Job, err error) { deaths.add(j.JID + ": " + err.Error()) },
	}
	b.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
	b.deadOwner("gone:1:abc", "a", payload("a", "Job", 1, 0))
	b.start()
	b.until("it is dead, and told", func() bool { return b.size("dead") == 1 && deaths.len() == 1 })
	if got := deaths.String(); !strings.HasPrefix(got, "a-Job-1: 1 workers died") {
		t.Errorf("told %q", got)
	}
}

// A bulk operation that goes through a queue holds jobs of it. When its caller is dead, a worker
// puts them back, in order.
func putBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	b.raw.HSet(ctx, "kyu:sifts", "x", "living", "y", "dead")
	for q, until := range map[string]int64{"x": time.Now().Add(time.Hour).UnixMilli(), "y": 1} {
		b.raw.RPush(ctx, "kyu:{queue:"+q+"}:sifted", payload(q, "Job", 3, 1),
			payload(q, "Job", 2, 1))
		b.raw.LPush(ctx, "queue:"+q, payload(q, "Job", 1, 1)) // it was not looked at
		id := map[string]string{"x": "living", "y": "dead"}[q]
		b.raw.HSet(ctx, "kyu:op:"+id, "state", "running", "token", "t", "until", until, "edge",
			payload(q, "Job", 1, 1))
	}
	b.start() // it does not serve these queues
	b.until("the jobs of the dead one are back", func() bool { return b.waiting("y") == 3 })
	if b.waiting("x") != 1 {
		t.Error("the jobs of a living operation were put back")
	}
	got := b.raw.LRange(ctx, "queue:y", 0, -1).Val()
	for i, want := range []int{3, 2, 1} {
		if got[i] != payload("y", "Job", want, 1) {
			t.Errorf("job %d is %s", i, got[i])
		}
	}
	if n := b.raw.HLen(ctx, "kyu:sifts").Val(); n != 1 {
		t.Errorf("%d operations are noted, want the living one", n)
	}
}
