package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

// pushRaw pushes a payload as it is, to be taken next.
func (b *bench) pushRaw(payload string) {
	b.Helper()
	if err := b.raw.RPush(b.Context(), "queue:a", payload).Err(); err != nil {
		b.Fatal(err)
	}
}

func suspect(class, jid string) string {
	return fmt.Sprintf(`{"class":%q,"jid":%q,"args":[],"queue":"a","crashes":2,"crashed_at":%d}`,
		class, jid, time.Now().Unix())
}

// inHands counts what Redis holds for workers.
func (b *bench) inHands() (n int64) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:{queue:*").Val() {
		if strings.Contains(key, ":inflight:") {
			n += b.raw.HLen(b.Context(), key).Val()
		} else {
			n += b.raw.LLen(b.Context(), key).Val()
		}
	}
	return n
}

// alone counts the owners of which Redis knows that only one of their jobs runs.
func (b *bench) alone() (n int64) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:owner:*").Val() {
		if b.raw.HExists(b.Context(), key, "alone").Val() {
			n++
		}
	}
	return n
}

func TestASuspectHasTheProcessToItself(t *testing.T) {
	b := newBench(t)
	b.config.Capsules = append(b.config.Capsules, worker.Capsule{Name: "other", Concurrency: 20,
		Queues: []worker.QueueWeight{{Name: "c"}}})
	var running, beside, suspects atomic.Int64
	job := func(context.Context) error {
		running.Add(1)
		defer running.Add(-1)
		<-time.After(time.Millisecond) // the work
		return nil
	}
	b.handle("Job", job)
	b.handle("Suspect", func(context.Context) error {
		suspects.Add(1)
		for range 20 { // for a while
			if running.Load() > 0 || b.alone() != 1 {
				beside.Add(1)
			}
		}
		return nil
	})
	for i := range 300 {
		b.push("Job", nil, queue.Options{Queue: []string{"a", "b", "c"}[i%3]})
	}
	b.run()
	for i := range 5 {
		b.pushRaw(suspect("Suspect", fmt.Sprint("s", i)))
		b.push("Job", nil, queue.Options{Queue: "c"})
	}
	b.until("all have run", func() bool { return suspects.Load() == 5 && b.empty() })
	if n := beside.Load(); n > 0 {
		t.Errorf("%d times another job ran, or Redis did not know that the suspect was alone", n)
	}
	if b.size("dead")+b.size("retry") > 0 {
		t.Error("jobs failed for it")
	}
}

func TestAnEndedRunClearsASuspect(t *testing.T) {
	b := newBench(t)
	b.handle("Fails", func(context.Context) error { return fmt.Errorf("as jobs do") })
	b.pushRaw(suspect("Fails", "x"))
	b.run()
	b.until("failed", func() bool { return b.size("retry") == 1 })
	if raw := b.raw.ZRange(t.Context(), "retry", 0, 0).Val()[0]; strings.Contains(raw, "crash") {
		t.Errorf("it is still suspected: %s", raw)
	}
}

func TestASuspectDoesNotWaitForAHandlerThatNeverReturns(t *testing.T) {
	b := newBench(t)
	b.config.MaxStuck = -1
	release := make(chan struct{})
	b.handle("Hang", func(context.Context) error { <-release; return nil })
	var ran atomic.Bool
	var marks atomic.Int64
	b.handle("Suspect", func(context.Context) error {
		marks.Store(b.besides())
		ran.Store(true)
		return nil
	})
	b.push("Hang", nil, queue.Options{})
	b.run()
	b.until("it hangs", func() bool { return b.inHands() == 1 })
	b.pushRaw(suspect("Suspect", "x"))
	b.until("the suspect waits for its turn", func() bool { return b.inHands() == 2 })
	if n := b.besides(); n > 0 && !ran.Load() {
		t.Errorf("it waits, and Redis has %d marks that a suspect runs: a crash would count for it",
			n)
	}
	b.until("the suspect has run", ran.Load)
	if n := marks.Load(); n != 1 {
		t.Errorf("it ran beside another job with %d marks in Redis: a crash would not count for it",
			n)
	}
	close(release)
	b.until("all is done", b.empty)
}

// besides counts the suspects of which Redis knows that they run beside others.
func (b *bench) besides() (n int64) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:owner:*").Val() {
		for field := range b.raw.HGetAll(b.Context(), key).Val() {
			if strings.HasPrefix(field, "beside:") {
				n++
			}
		}
	}
	return n
}

func TestASuspectThatRunsOnAfterItsTimeAloneIsMarked(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	b.handle("Suspect", func(context.Context) error { <-release; return nil })
	b.pushRaw(suspect("Suspect", "x"))
	b.run()
	b.until("it is alone", func() bool { return b.alone() == 1 })
	b.until("it runs on, and others may start", func() bool { return b.alone() == 0 })
	if n := b.besides(); n != 1 {
		t.Errorf("Redis has %d marks: a crash would not count for it", n)
	}
	close(release)
	b.until("it is done", b.empty)
}

func TestAThreadThatIsStuckIsReplaced(t *testing.T) {
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	b.config.MaxStuck = 5
	release := make(chan struct{})
	b.handle("Hang", func(context.Context) error { <-release; return nil },
		worker.Options{Timeout: 10 * time.Millisecond})
	var runs ran
	b.handle("Job", func(context.Context) error { runs.add("ran"); return nil })
	r := b.run()
	for i := range 3 {
		b.push("Hang", nil, queue.Options{})
		b.push("Job", nil, queue.Options{})
		b.until("the next job runs", func() bool { return len(runs.all()) == i+1 })
	}
	if s := r.Status(); s.Stuck != 3 || s.Busy != 3 {
		t.Errorf("status %+v, want 3 stuck", s)
	}
	close(release)
	b.until("the stuck ones are settled", func() bool { return b.empty() && r.Status().Busy == 0 })
	b.push("Job", nil, queue.Options{})
	b.until("it still runs jobs", func() bool { return len(runs.all()) == 4 })
	if n := r.Status().Stuck; n != 0 {
		b.until("nothing is stuck any more", func() bool { return r.Status().Stuck == 0 })
	}
}

// Redis's clock is set forward or back: leases have ended long ago, or end in an
// hour. Who beats lives, who does not is dead.
func TestAClockThatIsSetKillsNobodyAndKeepsNobody(t *testing.T) {
	for name, offset := range map[string]time.Duration{"forward": -24 * time.Hour,
		"back": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.config.Lease = 2 * time.Second
			b.handle("Job", func(context.Context) error { return nil })
			for _, id := range []string{"living:1:a", "dead:1:a"} {
				o := b.store.Owner(id)
				if err := o.Register(t.Context(), queue.Host{Name: "elsewhere", PID: 1},
					[]string{"x"}, time.Second); err != nil {
					t.Fatal(err)
				}
				b.push("Job", nil, queue.Options{Queue: "x", JID: id})
				if jobs, err := take(b, o, "x"); err != nil || len(jobs) != 1 {
					t.Fatal(jobs, err)
				}
			}
			beat := func(id string, end time.Time) {
				b.raw.ZAddXX(t.Context(), "kyu:leases",
					redis.Z{Score: float64(end.UnixMilli()), Member: id})
			}
			beat("dead:1:a", time.Now().Add(offset))
			b.run()
			b.until("the dead one's job is back", func() bool {
				beat("living:1:a", time.Now().Add(offset))
				return b.raw.LLen(t.Context(), "queue:x").Val() == 1
			})
			if lease := b.raw.ZScore(t.Context(), "kyu:leases", "living:1:a").Val(); lease < 0 {
				t.Error("the living one was declared dead")
			}
			if raw := b.raw.LIndex(t.Context(), "queue:x", 0).Val(); !strings.Contains(raw,
				"dead:1:a") {
				t.Errorf("in the queue is %s", raw)
			}
		})
	}
}
