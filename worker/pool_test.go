package worker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// newTestLedger has one capsule with so many seats, and an owner whose lease holds.
func newTestLedger(seats int) (*ledger, *queue.Owner) {
	o := &ownership{born: time.Now()}
	o.until.Store(int64(time.Hour))
	last := uint64(0)
	tokens := func(n int) uint64 { last += uint64(n); return last - uint64(n) + 1 }
	capsule := Capsule{Name: "x", Concurrency: seats, Queues: []QueueWeight{{Name: "x"}}}
	l := newLedger([]Capsule{capsule}, []string{"x"}, tokens, o, func(int) {})
	owner := &queue.Owner{Identity: "h:1:a"}
	l.renewed(owner)
	return l, owner
}

// bring has a trip bring jobs with these payloads, and returns how many it asked for.
func (l *ledger) bring(t *testing.T, raws ...string) int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	trip, ok := l.process.Begin(0, true, queue.MaxFetch)
	if !ok {
		t.Fatal("no trip is due")
	}
	var jobs []queue.Delivery
	for i, raw := range raws {
		jobs = append(jobs, queue.Delivery{Raw: raw, Queue: "x", Owner: trip.Owner,
			Token: trip.First + uint64(i)})
	}
	l.process.Returned(trip, queue.Fetched{Jobs: jobs, Acked: len(trip.Acks)}, nil)
	l.pools[0].wakeOne()
	return trip.Want
}

func TestPool(t *testing.T) {
	t.Run("long jobs of a batch start beside each other", func(t *testing.T) {
		synctest.Test(t, longJobsStartBesideEachOther)
	})
	t.Run("a job of an identity that is gone does not start", func(t *testing.T) {
		l, _ := newTestLedger(3)
		l.bring(t, "1", "2")
		l.renewed(&queue.Owner{Identity: "h:1:b"})
		l.pools[0].close()
		if e, _ := l.pools[0].next(l.pools[0].all[0], false); e != nil {
			t.Errorf("%s started", e.Raw)
		}
		if batch := l.process.Batch(0); len(batch) != 2 || batch[0].Action != queue.Requeue ||
			batch[0].Delivery.Raw != "2" {
			t.Errorf("settles %+v, want both back in their queue, the newest first", batch)
		}
	})
	t.Run("a job does not start without a lease", func(t *testing.T) {
		l, _ := newTestLedger(3)
		l.bring(t, "1")
		l.owners.until.Store(0)
		l.pools[0].close()
		if e, _ := l.pools[0].next(l.pools[0].all[0], false); e != nil {
			t.Errorf("%s started", e.Raw)
		}
	})
}

// Every slot that is busy with a long job has others start the jobs behind it.
func longJobsStartBesideEachOther(t *testing.T) {
	l, _ := newTestLedger(3)
	p := l.pools[0]
	running, release := make(chan string), make(chan struct{})
	for _, s := range p.slots() {
		go func() {
			for e, _ := p.next(s, false); e != nil; e, _ = p.next(s, true) {
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
		t.Errorf("%d busy, %d free", p.busy(), l.process.Free(0))
	}
	close(release)
	synctest.Wait()
	if p.busy() != 0 || l.process.Unsettled(0) != 3 || l.process.Free(0) != 0 {
		t.Errorf("%d busy, %d unsettled, %d free: a result that is not settled keeps its seat",
			p.busy(), l.process.Unsettled(0), l.process.Free(0))
	}
	p.close()
}
