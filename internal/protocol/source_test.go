package protocol

import (
	"testing"

	"github.com/kyujobs/kyu/queue"
)

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

func TestSource(t *testing.T) {
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
