package protocol

import (
	"fmt"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

// sourced makes a Process whose queue x has a source, and y has none.
func sourced(t *testing.T) *fixture {
	f := newFixture(t, Capsule{Queues: []int{0, 1}, Seats: 3})
	if !f.Process.Sourced([]bool{true, false}) || f.Process.Sourced([]bool{true, false}) {
		t.Error("the first call is news, and the second is not")
	}
	return f
}

// backWith is the reply of a trip that found unseen jobs in the queues with these places.
func (f *fixture) backWith(unseen ...int) {
	f.Returned(f.trips(0)[0], queue.Fetched{Unseen: unseen, Opens: -1}, nil)
}

func TestSource(t *testing.T) {
	t.Run("is named by the trips of its queue", func(t *testing.T) {
		f := sourced(t)
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		if got := fmt.Sprint(f.trips(0)[0].Sources); got != "[0]" {
			t.Error(got)
		}
	})
	t.Run("has two doorbells, which reserve no tokens and bring no jobs", func(t *testing.T) {
		f := sourced(t)
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		f.backWith()
		hang, _ := f.Bells(true)
		var got []string
		for _, b := range hang {
			got = append(got, fmt.Sprint(b.Adopt, b.Want, b.First, b.Source))
		}
		if want := "[[0] 0 0 false [1] 1 4 false [0] 0 0 true]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
		for _, i := range []int{0, 2} {
			f.Wake(0)
			f.at("begin 0", fmt.Sprintf("want 3 from %d acks [] adopt []", f.last+1))
			f.backWith()
			if wake := f.Down(hang[i], Rung{Landed: true}); wake != 0 || !f.Due(0, f.limit) {
				t.Errorf("bell %d wakes %d, due %v", i, wake, f.Due(0, f.limit))
			}
			if f.Audit() {
				t.Errorf("bell %d: an audit is due", i)
			}
			f.at("begin 0", fmt.Sprintf("want 3 from %d acks [] adopt [0]", f.last+1))
			f.backWith()
		}
	})
	t.Run("hangs no doorbell while it has not seen some jobs", func(t *testing.T) {
		f := sourced(t)
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		f.backWith(0)
		f.at("bells", "hang [1] unhang []")
		if got := fmt.Sprint(f.Unseen()); got != "[0]" {
			t.Errorf("unseen %s", got)
		}
		f.Sifted(0, false)
		if len(f.Unseen()) != 0 || f.Asleep(0) {
			t.Errorf("unseen %v, asleep %v", f.Unseen(), f.Asleep(0))
		}
	})
	t.Run("sees no jobs of a process that takes none", func(t *testing.T) {
		f := sourced(t)
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		f.backWith(0)
		f.Quiet()
		if got := f.Unseen(); len(got) != 0 {
			t.Errorf("unseen %v", got)
		}
	})
	t.Run("changes which doorbells hang", func(t *testing.T) {
		f := newFixture(t, Capsule{Queues: []int{0}, Seats: 1})
		f.at("begin 0", "want 1 from 1 acks [] adopt []")
		f.at("back 0", "stale 0")
		f.at("bells", "hang [0] unhang []")
		f.Process.Sourced([]bool{true, false})
		if _, unhang := f.Bells(true); fmt.Sprint(unhang) != "[0]" {
			t.Errorf("unhang %v, want the bell that delivers jobs", unhang)
		}
	})
	t.Run("counts its deliveries as those with effects", func(t *testing.T) {
		f := newFixture(t, Capsule{Queues: []int{0}, Seats: 200})
		f.at("begin 0", "want 100 from 1 acks [] adopt []")
		var jobs []queue.Delivery
		for i := range 70 {
			jobs = append(jobs, queue.Delivery{Queue: "x", Owner: f.Owner, Token: uint64(i + 1),
				Sourced: true})
		}
		f.Returned(f.trips(0)[0], queue.Fetched{Jobs: jobs}, nil)
		for range jobs {
			f.Finish(f.Start(0, true), nil)
		}
		if n := len(f.Batch(0)); n != queue.MaxEffectItems {
			t.Errorf("a batch of %d, want %d", n, queue.MaxEffectItems)
		}
	})
}

// sleeping returns a Process with one seat that sleeps, and its doorbells: that of queue x, which
// has a source, that of y, and the other one of x.
func sleeping(t *testing.T) (*fixture, []*Trip) {
	f := newFixture(t, Capsule{Queues: []int{0, 1}, Seats: 1})
	f.Sourced([]bool{true, false})
	trip, _ := f.Begin(0, true, 100)
	f.Returned(trip, queue.Fetched{}, nil)
	bells, _ := f.Bells(true)
	if len(bells) != 3 {
		t.Fatalf("%d doorbells, want 3", len(bells))
	}
	return f, bells
}

func TestSleepingSource(t *testing.T) {
	t.Run("passes a ring on that comes while no seat is free", func(t *testing.T) {
		for _, i := range []int{0, 2} {
			f, bells := sleeping(t)
			f.Down(bells[1], Rung{Landed: true, Job: &queue.Delivery{Queue: "y", Owner: f.Owner,
				Token: bells[1].First}})
			f.Start(0, true)
			f.Down(bells[i], Rung{Landed: true})
			trip, ok := f.Begin(0, true, 100)
			if !ok || trip.Want != 0 || len(trip.Sources) != 1 {
				t.Errorf("after bell %d: trip %+v, want one that takes no job and has the source",
					i, trip)
			}
		}
	})
	t.Run("looks once more when a doorbell rings after lanes were turned off", func(t *testing.T) {
		f, bells := sleeping(t)
		f.Sourced([]bool{false, false})
		f.Down(bells[0], Rung{Landed: true})
		trip, ok := f.Begin(0, true, 100)
		if !ok || len(trip.Sources) != 1 {
			t.Errorf("trip %+v, want one with the source", trip)
		}
		f.Returned(trip, queue.Fetched{}, nil)
		f.Wake(0)
		if next, ok := f.Begin(0, true, 100); !ok || len(next.Sources) != 0 {
			t.Errorf("the next trip is %+v, want one without a source", next)
		}
	})
}
