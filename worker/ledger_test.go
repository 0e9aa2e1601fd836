package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// newTestLedger returns a ledger with one capsule of so many seats, and an owner whose lease is
// valid for an hour.
func newTestLedger(seats int) (*ledger, *queue.Owner) {
	o := &ownership{born: time.Now()}
	o.until.Store(int64(time.Hour))
	last := uint64(0)
	tokens := func(n int) uint64 { last += uint64(n); return last - uint64(n) + 1 }
	capsule := Capsule{Name: "x", Concurrency: seats, Queues: queues("x")}
	l := newLedger([]Capsule{capsule}, []string{"x"}, tokens, o, func(int) {})
	owner := &queue.Owner{Identity: "h:1:a"}
	l.renewed(owner)
	return l, owner
}

// bring has a round trip bring jobs with these payloads. It returns how many it asked for.
func (l *ledger) bring(t *testing.T, raws ...string) int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	trip, ok := l.process.Begin(0, true, queue.MaxFetch)
	if !ok {
		t.Fatal("no round trip is due")
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

// notified reports whether the reader of a channel was notified, and takes the value.
func notified(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	t.Run("notifies the settler of the first result, and of each that no fetch takes",
		notifiesSettler)
	t.Run("wakes all loops when the paused queues change, and only then", wakesForPauses)
	t.Run("gives abandoned jobs back, and ignores their late results", func(t *testing.T) {
		l, _ := newTestLedger(3)
		p := l.pools[0]
		l.bring(t, "1")
		e, _, _ := p.next(p.all[0], false)
		if n := l.abandon(); n != 1 || l.settled() {
			t.Errorf("%d jobs abandoned, want 1, which is not settled", n)
		}
		l.finish(e, nil)
		batch := l.process.Batch(0)
		if len(batch) != 1 || batch[0].Action != queue.Requeue {
			t.Errorf("settles %+v, want the job back in its queue", batch)
		}
	})
	t.Run("counts and reports late results", func(t *testing.T) {
		l, _ := newTestLedger(1)
		reported := 0
		l.report = func(n int) { reported += n }
		l.count(0)
		l.count(2)
		if n := l.stale.Load(); n != 2 || reported != 2 {
			t.Errorf("counted %d and reported %d, want 2", n, reported)
		}
	})
}

func notifiesSettler(t *testing.T) {
	l, _ := newTestLedger(3)
	p := l.pools[0]
	l.bring(t, "1", "2", "3")
	notified(l.settle[0])
	for i, want := range []bool{true, false} {
		e, _, _ := p.next(p.all[0], false)
		l.finish(e, nil)
		if got := notified(l.settle[0]); got != want {
			t.Errorf("after result %d: notified is %v", i+1, got)
		}
	}
	e, _, _ := p.next(p.all[0], false)
	l.finish(e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Retry})
	if !notified(l.settle[0]) {
		t.Error("not notified of a retry")
	}
}

func wakesForPauses(t *testing.T) {
	l, _ := newTestLedger(1)
	loops := map[string]chan struct{}{"doorbells": l.bells, "fetcher": l.pools[0].freed,
		"settler": l.settle[0]}
	for i, names := range [][]string{{"x", "of another process"}, {"x"}, nil} {
		for _, c := range loops {
			notified(c)
		}
		l.setPaused(names)
		for name, c := range loops {
			if got := notified(c); got != (i != 1) {
				t.Errorf("change %d: the %s were notified: %v", i, name, got)
			}
		}
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	t.Run("are in the order of the names", func(t *testing.T) {
		if got := indexes([]string{"a", "b", "c"}, []string{"c", "a"}); !slices.Equal(got,
			[]int{2, 0}) {
			t.Errorf("got %v", got)
		}
	})
}
