package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// promotePage is how many jobs one script of the poller moves at most.
const promotePage = 100

// poller moves jobs of the retry and schedule sets to their queues when they are due, and jobs of
// the hold set that this process can run. All processes of the fleet poll; the more processes there
// are, the less often each of them polls.
type poller struct {
	// feed writes these; afterwards they do not change.
	store    *queue.Store
	outage   *outage
	interval time.Duration // the average time between two polls of the whole fleet
	fixed    time.Duration // the average time between two polls of this process; 0: by interval
	classes  []string      // that have a handler here
	queues   []string      // that this process serves
	fleet    *atomic.Int64 // the loop writes here how many processes there are

	// Only the loop of Run reads and writes these.
	due     []*queue.Promotion // a walk over each set, kept from poll to poll
	refused []string           // keys of the wrong type that the last poll met
}

// Run polls until ctx ends.
func (p *poller) Run(ctx context.Context) error {
	first := rand.N(5 * time.Second)
	if p.fixed == 0 {
		first += 10 * time.Second // a fleet that restarts first runs the jobs that wait already
	} else {
		first = rand.N(p.fixed)
	}
	if !sleep(ctx, first) {
		return nil
	}
	p.store.CleanProcesses(ctx) // only to keep the set small; Ruby's processes do it too
	for {
		if err := p.poll(ctx); err != nil && ctx.Err() == nil {
			p.outage.failed("poll", err)
		} else {
			p.outage.worked("poll")
		}
		if !sleep(ctx, p.pause(ctx)) {
			return nil
		}
	}
}

// poll moves all jobs that are due. A job that cannot be moved does not stop the jobs behind it,
// unless Redis serves no client at all.
func (p *poller) poll(ctx context.Context) error {
	if p.due == nil {
		for _, set := range queue.DueSets {
			p.due = append(p.due, p.store.Promotion(set, promotePage))
		}
	}
	calls := context.WithoutCancel(ctx)
	var problems []error
	for _, walk := range p.due {
		for more := true; more && ctx.Err() == nil; {
			var err error
			_, _, more, err = walk.Next(calls, time.Now())
			if redisdb.ServesNobody(err) {
				return err
			}
			problems = append(problems, err)
		}
	}
	_, err := p.store.Release(calls, p.classes, p.queues, promotePage)
	keys, rest := queue.Refusals(errors.Join(append(problems, err)...))
	p.warn(keys)
	return errors.Join(rest...)
}

// warn logs each key of the wrong type when a poll first meets it.
func (p *poller) warn(keys []string) {
	for _, key := range keys {
		if !slices.Contains(p.refused, key) {
			p.outage.log.Error("a key has the wrong type, so the jobs that go to it stay "+
				"where they are: another program wrote it: RENAME it, and the next poll "+
				"moves the jobs", "key", key)
		}
	}
	p.refused = keys
}

// pause returns the time until the next poll by Sidekiq's rule (docs/wire.md 8.2). The average
// grows with the number of processes. With fewer than ten processes the time is between 1/2 and 3/2
// of the average, with ten or more between 0 and twice the average.
func (p *poller) pause(ctx context.Context) time.Duration {
	n, err := p.store.ProcessCount(ctx)
	n = max(n, 1)
	if err == nil && p.fleet != nil {
		p.fleet.Store(int64(n))
	}
	average := p.fixed
	if average == 0 {
		average = time.Duration(n) * p.interval
	}
	if err != nil {
		return jittered(5 * time.Second)
	}
	if n < 10 {
		return average/2 + rand.N(average)
	}
	return rand.N(2 * average)
}
