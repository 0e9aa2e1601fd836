package worker

import (
	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// departed counts, by queue, the jobs that have left their queues for good: Redis has confirmed
// their results, and they did not go back unchanged. The ledger's mutex guards it.
type departed map[string]int64

// acked counts jobs that a fetch has acknowledged. It leaves out stale of them, which had been
// taken away. Which ones these were is not known.
func (d departed) acked(done []*protocol.Entry, stale int) {
	done = done[:max(0, len(done)-stale)]
	for len(done) > 0 {
		name, n := done[0].Queue, 1 // jobs of a queue often follow one another
		for n < len(done) && done[n].Queue == name {
			n++
		}
		d[name] += int64(n)
		done = done[n:]
	}
}

// settled counts the jobs of a batch that have left. stale is how many were taken away. If it is 0,
// results that came too late are of a batch that was sent again after its reply was lost: the jobs
// have left.
func (d departed) settled(batch []queue.Settlement, results []queue.Result, stale int) {
	for i, r := range results {
		late := r == queue.Stale && stale > 0
		if batch[i].Action != queue.Requeue && r != queue.Refused && !late {
			d[batch[i].Delivery.Queue]++
		}
	}
}
