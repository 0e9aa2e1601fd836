package worker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
)

const (
	// aloneWithin is how long a suspect waits for the process to hold nothing
	// else. Jobs that run longer, or never end, must not hold it up for good.
	aloneWithin = 10 * time.Second
	// aloneEvery is how often it looks.
	aloneEvery = 5 * time.Millisecond
)

// quarantine lets a suspect run alone: a job that was in flight at so many
// crashes that one more makes it poison. As long as it is closed nothing is
// fetched, and what was fetched goes back to its queue. So when the process dies,
// only the suspect is in its hands, and no innocent job pays for it.
type quarantine struct {
	inside   atomic.Pointer[queue.Delivery]
	capsules []*capsuleRun
	log      *slog.Logger
}

// closed reports whether d must not run now: another job is in quarantine.
func (q *quarantine) closed(d *queue.Delivery) bool {
	inside := q.inside.Load()
	return inside != nil && inside != d
}

// enter waits until the process holds no job but d, for a while. It reports
// whether d may run: not if another suspect is in there, or ctx ended. Who
// entered must leave.
func (q *quarantine) enter(ctx context.Context, d *queue.Delivery) bool {
	if !q.inside.CompareAndSwap(nil, d) {
		return false
	}
	for _, c := range q.capsules {
		ring(c.pool.freed) // the fetchers stop
	}
	for limit := time.Now().Add(aloneWithin); !q.alone(); {
		if time.Now().After(limit) {
			q.log.Warn("a suspect does not get the process to itself: it runs beside the others", "within", aloneWithin)
			return true
		}
		if !sleep(ctx, aloneEvery) {
			q.leave()
			return false
		}
	}
	return true
}

func (q *quarantine) leave() {
	q.inside.Store(nil)
	for _, c := range q.capsules {
		ring(c.pool.freed)
	}
}

// alone reports whether Redis holds one job for this process, the suspect.
func (q *quarantine) alone() bool {
	held := 0
	for _, c := range q.capsules {
		if !c.fetcher.still.Load() {
			return false
		}
		held += len(c.pool.held()) // first: a job goes from the pool to the settler
		held += len(c.settler.unsettled())
	}
	return held == 1
}
