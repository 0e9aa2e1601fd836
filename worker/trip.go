package worker

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

// trip is one fetch: what it carries, then what it brought.
type trip struct {
	owner   *queue.Owner
	want    int // threads reserved
	acks    []*queue.Delivery
	putBack []*queue.Delivery
	draws   []string

	jobs  []*queue.Delivery
	stale int
	err   error
	took  time.Duration
}

// travel carries a trip out, in a lane.
func (t trip) travel(ctx context.Context, queues []string, store *queue.Store) trip {
	if len(t.putBack) > 0 {
		var batch []queue.Settlement
		for _, d := range t.putBack {
			batch = append(batch, queue.Settlement{Delivery: d, Action: queue.Requeue})
		}
		if _, t.err = store.Settle(ctx, batch); t.err != nil {
			return t
		}
		t.putBack = nil
	}
	failpoint.Hit("before_fetch")
	began := time.Now()
	t.jobs, t.stale, t.err = t.owner.Fetch(ctx, queues, t.want, t.draws, t.acks)
	failpoint.Hit("fetch_reply")
	t.took = time.Since(began)
	return t
}
