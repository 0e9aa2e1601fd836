package protocol_test

import (
	"testing"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// finished makes a Process whose n running deliveries have finished. Delivery i has an effect
// if with(i) is true.
func finished(t *testing.T, n int, with func(i int) bool) *protocol.Process {
	token := uint64(0)
	tokens := func(n int) uint64 { token += uint64(n); return token - uint64(n) + 1 }
	p := protocol.New([]protocol.Capsule{{Queues: []int{0}, Seats: n}}, 1, tokens)
	o := &queue.Owner{Identity: "h:1:a"}
	p.Renewed(o)
	trip, ok := p.Begin(0, true, n)
	if !ok {
		t.Fatal("no trip")
	}
	var jobs []queue.Delivery
	for i := range n {
		jobs = append(jobs, queue.Delivery{Queue: "a", Owner: o, Token: trip.First + uint64(i)})
	}
	p.Returned(trip, queue.Fetched{Jobs: jobs}, nil)
	for i := range n {
		e := p.Start(0, true)
		var x *queue.Settlement
		if with(i) {
			x = &queue.Settlement{Delivery: &e.Delivery, Action: queue.Done,
				Effects: make([]queue.Effect, 1)}
		}
		p.Finish(e, x)
	}
	return p
}

func TestEffects(t *testing.T) {
	t.Run("are settled in a batch, not in a fetch", func(t *testing.T) {
		p := finished(t, 10, func(i int) bool { return i%2 == 0 })
		if !p.Urgent(0) {
			t.Error("no batch is due, so they are never settled")
		}
		trip, ok := p.Begin(0, true, 10)
		if !ok || len(trip.Acks) != 5 {
			t.Fatal(trip, ok)
		}
		for _, e := range trip.Acks {
			if e.Settlement != nil {
				t.Error("a fetch carries a delivery with effects")
			}
		}
		if n := len(p.Batch(0)); n != 5 {
			t.Errorf("%d are settled, want 5", n)
		}
	})
	t.Run("are in a batch for at most 64 deliveries", func(t *testing.T) {
		p := finished(t, 200, func(i int) bool { return i%2 == 0 })
		var sizes []int
		for {
			batch, with := p.Batch(0), 0
			if len(batch) == 0 {
				break
			}
			for _, x := range batch {
				with += len(x.Effects)
			}
			if with > queue.MaxEffectItems {
				t.Errorf("%d of %d have effects", with, len(batch))
			}
			sizes = append(sizes, len(batch))
			p.Confirmed(0, make([]queue.Result, len(batch)))
		}
		if len(sizes) != 3 || sizes[0] != 64 {
			t.Error(sizes)
		}
	})
}
