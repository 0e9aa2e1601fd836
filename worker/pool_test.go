package worker

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/kyujobs/kyu/queue"
)

func TestPool(t *testing.T) {
	t.Parallel()
	t.Run("long jobs of a batch start beside each other", func(t *testing.T) {
		synctest.Test(t, longJobsStartBesideEachOther)
	})
	t.Run("a job of an identity that is gone does not start", func(t *testing.T) {
		l, _ := newTestLedger(3)
		l.bring(t, "1", "2")
		l.renewed(&queue.Owner{Identity: "h:1:b"})
		l.pools[0].close()
		if e, _, _ := l.pools[0].next(l.pools[0].all[0], false); e != nil {
			t.Errorf("%s started", e.Raw)
		}
		var back []string
		for _, s := range l.process.Batch(0) {
			back = append(back, string(s.Action)+" "+s.Delivery.Raw)
		}
		if want := []string{"requeue 2", "requeue 1"}; !slices.Equal(back, want) {
			t.Errorf("settles %q, want %q: the newest first", back, want)
		}
	})
	t.Run("a stuck slot is replaced, and gives its seat back when it returns", func(t *testing.T) {
		l, _ := newTestLedger(1)
		p := l.pools[0]
		stuck := p.all[0]
		l.bring(t, "1")
		e, _, _ := p.next(stuck, false)
		fresh := p.replace(stuck)
		if fresh == nil || p.replace(stuck) != nil {
			t.Fatalf("replaced by %v, want one slot, once", fresh)
		}
		if n := l.bring(t, "2"); n != 1 {
			t.Errorf("the next round trip asks for %d jobs, want 1", n)
		}
		l.finish(e, nil)
		if e, _, _ := p.next(stuck, true); e != nil {
			t.Errorf("the stuck slot got %s", e.Raw)
		}
		if e, _, _ := p.next(fresh, false); e == nil || e.Raw != "2" {
			t.Errorf("the new slot got %v", e)
		}
		if all := p.slots(); !slices.Equal(all, []*slot{fresh}) {
			t.Errorf("%d slots, want 1", len(all))
		}
	})
	t.Run("a job does not start without a lease", func(t *testing.T) {
		l, _ := newTestLedger(3)
		l.bring(t, "1")
		l.owners.until.Store(0)
		l.pools[0].close()
		if e, _, _ := l.pools[0].next(l.pools[0].all[0], false); e != nil {
			t.Errorf("%s started", e.Raw)
		}
	})
}

// Each slot that gets a long job wakes the next slot for the jobs behind it.
func longJobsStartBesideEachOther(t *testing.T) {
	l, _ := newTestLedger(3)
	p := l.pools[0]
	running, release := make(chan string), make(chan struct{})
	for _, s := range p.slots() {
		go func() {
			for e, _, _ := p.next(s, false); e != nil; e, _, _ = p.next(s, true) {
				running <- e.Raw
				<-release
				l.finish(e, nil)
			}
		}()
	}
	synctest.Wait()
	if n := l.bring(t, "1", "2", "3"); n != 3 {
		t.Fatalf("asked for %d jobs with 3 seats", n)
	}
	for range 3 {
		<-running
	}
	if p.busy() != 3 || l.process.Free(0) != 0 {
		t.Errorf("%d busy and %d free, want 3 and 0", p.busy(), l.process.Free(0))
	}
	close(release)
	synctest.Wait()
	if p.busy() != 0 || l.process.Unsettled(0) != 3 || l.process.Free(0) != 0 {
		t.Errorf("%d busy, %d unsettled, %d free: a result that is not settled keeps its seat",
			p.busy(), l.process.Unsettled(0), l.process.Free(0))
	}
	p.close()
}
