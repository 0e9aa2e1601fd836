package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Point 15. A key of another type stands where jobs are to go: they wait, and come when
// it is gone. Jobs of other queues run on.
func TestPromiseBrokenKey(t *testing.T) {
	t.Run("dead: what is to be buried is kept", func(t *testing.T) {
		brokenSet(t, "dead", queue.Kill(errors.New("no use")))
	})
	t.Run("retry: what is to be retried is kept", func(t *testing.T) {
		brokenSet(t, "retry", errors.New("to be retried"))
	})
	t.Run("schedule: what is put off is kept", func(t *testing.T) {
		brokenSet(t, "schedule", queue.Snooze(time.Hour))
	})
	t.Run("queue: what a stop interrupts is kept", brokenRequeue)
	t.Run("queue: other queues are served", brokenQueue)
	t.Run("in flight: what cannot be delivered is kept, and other queues are served",
		brokenInFlight)
}

// brokenSet lets jobs end with err, whose set is a string.
func brokenSet(t *testing.T, set string, err error) {
	t.Parallel()
	const jobs = 3
	s := newStage(t)
	var ended, others atomic.Int64
	s.handleNumber("Fails", func(context.Context, int) error { ended.Add(1); return err })
	s.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	s.raw.Set(t.Context(), set, "of another program", 0)
	s.start(s.store)
	s.fill("a", "Fails", jobs, 0)
	s.until("they have failed", func() bool { return ended.Load() == jobs })
	s.fill("b", "Other", 5, 0)
	s.until("others run on", func() bool { return others.Load() == 5 && s.count("Other") == 0 })
	s.holds(300*time.Millisecond, "none is lost", func() bool {
		return s.count("Fails")+int(s.waiting("a")) == jobs
	})
	s.raw.Del(t.Context(), set)
	s.until("all are in the set", func() bool { return s.size(set) == jobs && s.empty() })
}

func brokenRequeue(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.config.Timeout, s.config.Grace = 100*time.Millisecond, 100*time.Millisecond
	var starts atomic.Int64
	s.handleNumber("Job", func(ctx context.Context, _ int) error {
		if starts.Add(1) == 1 {
			<-ctx.Done()
		}
		return ctx.Err()
	})
	s.fill("a", "Job", 1, 0)
	p := s.start(s.store)
	s.until("it runs", func() bool { return starts.Load() == 1 && s.waiting("a") == 0 })
	s.raw.Set(t.Context(), "queue:a", "of another program", 0)
	p.Stop()
	p.endsWithin(8 * time.Second)
	if n := s.count("Job"); n != 1 {
		t.Errorf("%d of 1 job is left in Redis", n)
	}
	s.raw.Del(t.Context(), "queue:a")
	s.start(s.store)
	s.until("it runs to its end", func() bool { return starts.Load() == 2 && s.empty() })
}

func brokenQueue(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var others atomic.Int64
	s.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	s.raw.Set(t.Context(), "queue:a", "of another program", 0)
	s.launch(s.store)
	for i := range 3 {
		s.fill("b", "Other", 5, 0)
		s.until("the queue below it is served",
			func() bool { return others.Load() == int64(5*(i+1)) })
	}
}

func brokenInFlight(t *testing.T) {
	t.Parallel()
	const jobs = 50
	s := newStage(t)
	s.config.Capsules[0].Concurrency = jobs
	var ran, others atomic.Int64
	s.handleNumber("Job", func(context.Context, int) error { ran.Add(1); return nil })
	s.handleNumber("Other", func(context.Context, int) error { others.Add(1); return nil })
	p := s.start(s.store)
	s.until("it sleeps", func() bool { return s.bells() == 2 })
	key := inflightKey("a", p.Status().Identity)
	s.raw.Set(t.Context(), key, "of another program", 0)
	s.fill("a", "Job", jobs, 0)
	s.fill("b", "Other", 5, 0)
	s.until("the other queue is served", func() bool { return others.Load() == 5 })
	s.raw.Del(t.Context(), key)
	s.until("all have run", func() bool { return ran.Load() >= jobs && s.empty() })
}

// Kin of point 15. A user of Redis may not block: its fetchers look for jobs now and then, and
// its doorbells do not ask again and again. With the right given back they hang again.
func TestPromiseRefusedDoorbell(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var ran atomic.Int64
	s.handleNumber("Job", func(context.Context, int) error { ran.Add(1); return nil })
	acl := func(rule string) {
		t.Helper()
		if err := s.raw.Do(t.Context(), "ACL", "SETUSER", "kyu", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl("-blmove")
	s.start(s.store)
	refusals := func() int64 { return s.refused("blmove") }
	s.until("doorbells are refused", func() bool { return refusals() > 0 })
	for i := range 3 {
		s.fill("a", "Job", 5, 0)
		s.until("jobs run", func() bool { return ran.Load() == int64(5*(i+1)) && s.empty() })
	}
	before := refusals()
	s.holds(time.Second, "doorbells rest", func() bool { return refusals() <= before+2 })
	acl("+blmove")
	s.until("doorbells hang again", func() bool { return s.bells() == 2 })
}

// Point 10.
func TestPromiseRecovery(t *testing.T) {
	t.Run("a dead owner that cannot be reclaimed blocks no other's recovery", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		broken := func(identity string) {
			s.raw.Set(t.Context(), inflightKey("x", identity), "of another program", 0)
			s.deadOwner(identity, "x")
		}
		broken("first:1:a")
		s.deadOwner("second:1:a", "x", payload("x", "Job", 1, 0))
		<-time.After(2 * time.Millisecond) // another lease end
		broken("third:1:a")
		s.start(s.store)
		s.until("the job of the one between is back in its queue", func() bool {
			return s.waiting("x") == 1
		})
	})

	// Point 17. Nobody knows which queues it served.
	t.Run("an owner without a record is not forgotten while it holds a job", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		const identity = "gone:1:abc"
		fenced := float64(-time.Now().Add(-2 * time.Minute).UnixMilli())
		s.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: fenced, Member: identity})
		s.raw.HSet(t.Context(), inflightKey("x", identity), "1", payload("x", "Job", 1, 0))
		s.raw.SAdd(t.Context(), "queues", "x")
		s.start(s.store)
		s.holds(3500*time.Millisecond, "it is known, or its job is back", func() bool {
			_, known := s.score(identity)
			return known || s.waiting("x") == 1
		})
	})
}
