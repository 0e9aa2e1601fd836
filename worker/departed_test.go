package worker

import (
	"maps"
	"testing"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// entries are deliveries from the named queues.
func entries(queues ...string) (list []*protocol.Entry) {
	for _, name := range queues {
		list = append(list, &protocol.Entry{Delivery: queue.Delivery{Queue: name}})
	}
	return list
}

func TestDeparted(t *testing.T) {
	t.Parallel()
	counts := func(t *testing.T, d departed, want departed) {
		t.Helper()
		if !maps.Equal(d, want) {
			t.Errorf("counted %v, want %v", d, want)
		}
	}
	t.Run("counts what a fetch acknowledges, by queue", func(t *testing.T) {
		d := departed{}
		d.acked(entries("a", "a", "b", "a"), 0)
		d.acked(entries("b"), 0)
		d.acked(nil, 0)
		counts(t, d, departed{"a": 3, "b": 2})
	})
	t.Run("leaves out jobs that had been taken away", func(t *testing.T) {
		d := departed{}
		d.acked(entries("a", "a", "a"), 2)
		d.acked(entries("a"), 5)
		counts(t, d, departed{"a": 1})
	})
	batch := func(actions ...queue.Action) (list []queue.Settlement) {
		for _, a := range actions {
			list = append(list, queue.Settlement{Action: a, Delivery: &queue.Delivery{Queue: "a"}})
		}
		return list
	}
	t.Run("counts every result but those that go back unchanged", func(t *testing.T) {
		d := departed{}
		all := batch(queue.Done, queue.Retry, queue.Schedule, queue.Dead, queue.Requeue,
			queue.Forward, queue.Hold)
		results := make([]queue.Result, len(all))
		for i := range results {
			results[i] = queue.Settled
		}
		d.settled(all, results, 0)
		counts(t, d, departed{"a": 6})
	})
	t.Run("counts no result that Redis refused, and a late one only after a lost reply",
		func(t *testing.T) {
			results := []queue.Result{queue.Refused, queue.Stale, queue.Partly}
			again, taken := departed{}, departed{}
			again.settled(batch(queue.Retry, queue.Done, queue.Done), results, 0)
			taken.settled(batch(queue.Retry, queue.Done, queue.Done), results, 1)
			counts(t, again, departed{"a": 2})
			counts(t, taken, departed{"a": 1})
		})
}

// The cost of a job in a fetch that acknowledges 48 of one queue.
func BenchmarkDeparted(b *testing.B) {
	d, done := departed{}, entries()
	for range 48 {
		done = append(done, entries("default")...)
	}
	for range b.N {
		d.acked(done, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*48), "ns/job")
}
