package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestBackoffGrowsIsJitteredAndCapped(t *testing.T) {
	var b backoff
	for i, most := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000, 2000} {
		if d := b.next(); d < most*time.Millisecond/2 || d > most*time.Millisecond {
			t.Errorf("wait %d: %v, want %v or down to half of it", i, d, most*time.Millisecond)
		}
	}
	b.reset()
	if d := b.next(); d > 50*time.Millisecond {
		t.Errorf("after a success: %v", d)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !sleep(t.Context(), time.Hour) || time.Since(start) != time.Hour {
			t.Errorf("slept %v", time.Since(start))
		}
	})
}

// The pool must never hold a job up: with every slot busy on a long job, each
// next one starts on a slot of its own.
func TestLongJobsOfABatchStartBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool("x", 3)
		if n := p.reserve(5); n != 3 {
			t.Fatalf("reserved %d of 3", n)
		}
		running := make(chan string)
		release := make(chan struct{})
		for _, s := range p.all {
			go func() {
				for d := p.next(s, false); d != nil; d = p.next(s, true) {
					running <- d.Raw
					<-release
					s.hold(nil)
				}
			}()
		}
		synctest.Wait()
		p.deliver(deliveries("1", "2", "3"), 0)
		for range 3 {
			<-running
		}
		if len(p.held()) != 3 || p.freeCount() != 0 {
			t.Errorf("%d held, %d free", len(p.held()), p.freeCount())
		}
		close(release)
		synctest.Wait()
		if len(p.held()) != 0 || p.freeCount() != 3 {
			t.Errorf("%d held, %d free", len(p.held()), p.freeCount())
		}
		p.close()
	})
}

func deliveries(raws ...string) (list []*queue.Delivery) {
	for _, raw := range raws {
		list = append(list, &queue.Delivery{Raw: raw})
	}
	return list
}
