package lanes_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

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
}
