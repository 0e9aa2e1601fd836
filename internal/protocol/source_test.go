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
			if wake := f.Down(hang[i], Rung{Landed: true}); wake != 0 || f.Asleep(0) {
				t.Errorf("bell %d wakes %d, asleep %v", i, wake, f.Asleep(0))
			}
			if f.MayHaveLanded(0) || f.Audit() {
				t.Errorf("bell %d: a job has landed, or an audit is due", i)
			}
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
