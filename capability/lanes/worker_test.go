package lanes_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/kyujobs/kyu/worker"
)

// tally counts the jobs of each lane that run.
type tally struct {
	mu    sync.Mutex
	now   map[string]int
	most  map[string]int
	order map[string][]int
	done  int
}

func newTally() *tally {
	return &tally{now: map[string]int{}, most: map[string]int{}, order: map[string][]int{}}
}

func (c *tally) begin(lane string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[lane]++
	c.most[lane] = max(c.most[lane], c.now[lane])
	c.order[lane] = append(c.order[lane], n)
}

func (c *tally) end(lane string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[lane]--
	c.done++
}

func (c *tally) ended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

func TestWorker(t *testing.T) {
	t.Parallel()
	t.Run("keeps the limit and the order of lanes over processes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		c := newTally()
		handler := func(ctx context.Context, lane string, n int) error {
			c.begin(lane, n)
			defer c.end(lane)
			return nil
		}
		b.work(handler)
		b.work(handler)
		const each = 60
		for n := range each {
			for _, lane := range []string{"x", "y", "z"} {
				b.push(fmt.Sprint(lane, n))
			}
		}
		testwait.Until(t, 30*time.Second, "all jobs ran", func() bool {
			return c.ended() == 3*each
		})
		for lane, most := range c.most {
			b.same("jobs of lane "+lane+" at once", most, 1)
			for i, n := range c.order[lane] {
				if i != n {
					t.Fatalf("lane %s: %v, want the order of the pushes", lane, c.order[lane])
				}
			}
		}
		testwait.Until(t, 5*time.Second, "all is settled", func() bool {
			return b.status() == "running 0, parked 0, ready 0, full 0, closed 0"
		})
	})
	t.Run("begins a parked job at once when another process ends its turn", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		release, began := make(chan struct{}), make(chan time.Time, 2)
		one := func(c *worker.Config) { c.Capsules[0].Concurrency = 1 }
		first := b.work(func(context.Context, string, int) error {
			began <- time.Now()
			<-release
			return nil
		}, one)
		b.push("x1")
		<-began
		b.work(func(context.Context, string, int) error { began <- time.Now(); return nil }, one)
		b.push("x2")
		testwait.Until(t, 5*time.Second, "x2 is parked", func() bool {
			return b.status() == "running 1, parked 1, ready 0, full 1, closed 0"
		})
		first.Quiet() // it takes no more jobs
		ended := time.Now()
		close(release)
		if at := <-began; at.Sub(ended) > 500*time.Millisecond {
			t.Errorf("x2 began after %v", at.Sub(ended))
		}
	})
	t.Run("begins jobs when their rate allows it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,rate=50/s")
		c := newTally()
		b.work(func(_ context.Context, lane string, n int) error {
			c.begin(lane, n)
			c.end(lane)
			return nil
		})
		began := time.Now()
		for n := range 25 {
			b.push(fmt.Sprint("x", n))
		}
		testwait.Until(t, 10*time.Second, "all jobs ran", func() bool { return c.ended() == 25 })
		if took := time.Since(began); took < 480*time.Millisecond {
			t.Errorf("25 jobs ran in %v, want 480 ms or more", took)
		}
	})
	t.Run("closes a lane that is limited elsewhere, and counts no attempt", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1") // a lane of two would start both jobs at once
		c, limited := newTally(), make(chan struct{}, 1)
		limited <- struct{}{}
		b.work(func(ctx context.Context, lane string, n int) error {
			if !queue.HasLane(ctx) {
				t.Error("a job has no lane")
			}
			if _, failed := queue.JobFrom(ctx).RetryCount(); failed {
				t.Error("an attempt was counted")
			}
			select {
			case <-limited:
				return queue.RateLimited(300*time.Millisecond, errors.New("429"))
			default:
			}
			c.begin(lane, n)
			c.end(lane)
			return nil
		})
		b.push("x1")
		testwait.Until(t, 5*time.Second, "the lane is closed", func() bool {
			return b.status() == "running 0, parked 1, ready 0, full 0, closed 1"
		})
		b.push("x2 y1")
		testwait.Until(t, 5*time.Second, "y1 ran", func() bool { return c.ended() == 1 })
		testwait.Until(t, 5*time.Second, "all ran", func() bool { return c.ended() == 3 })
		b.same("order of x", fmt.Sprint(c.order["x"]), "[1 2]")
	})
	t.Run("gives parked jobs back while Ruby serves the queue", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		hold := make(chan struct{})
		b.work(func(context.Context, string, int) error { <-hold; return nil },
			func(c *worker.Config) { c.Capsules[0].Concurrency = 1 })
		b.Cleanup(func() { close(hold) })
		b.push("x1 x2 x3")
		testwait.Until(t, 5*time.Second, "jobs are parked", func() bool {
			return b.status() == "running 1, parked 2, ready 0, full 1, closed 0"
		})
		b.raw.SAdd(t.Context(), "processes", "ruby:1:x")
		b.raw.HSet(t.Context(), "ruby:1:x", "info", `{"queues":["a"],"identity":"ruby:1:x"}`)
		testwait.Until(t, 15*time.Second, "the jobs are back", func() bool {
			return b.raw.LLen(t.Context(), "queue:a").Val() == 2
		})
		s, err := b.control.Status(t.Context(), "a")
		b.must(err)
		b.same("beside", s.Beside, "ruby:1:x")
		b.raw.Del(t.Context(), "processes", "ruby:1:x")
		testwait.Until(t, 15*time.Second, "lanes are on again", func() bool {
			s, err = b.control.Status(t.Context(), "a")
			return err == nil && s.On()
		})
	})
	t.Run("serves all queues although the rule of one has a wrong type", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.raw.Del(t.Context(), "kyu:{queue:a}:lanes")
		b.raw.Set(t.Context(), "kyu:{queue:a}:lanes", "wrong", 0)
		c := newTally()
		b.work(func(_ context.Context, lane string, n int) error {
			c.begin(lane, n)
			c.end(lane)
			return nil
		})
		b.push("x1 x2")
		b.raw.LPush(t.Context(), "queue:b", payload("b", "z", 1))
		testwait.Until(t, 10*time.Second, "all ran", func() bool { return c.ended() == 3 })
	})
}
