package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// promotePage bounds one script of the poller.
const promotePage = 100

// poller moves jobs that are due from the retry and schedule sets to their
// queues, and held jobs that this process can run. All processes of the fleet poll; the
// more there are, the less often each does.
type poller struct {
	store    *queue.Store
	outage   *outage
	interval time.Duration // of the whole fleet, on average
	fixed    time.Duration // of this process, if set

	classes, queues []string // that this process serves: held jobs of both are for it to take out

	due     []*queue.Promotion // a walk over each set, kept from poll to poll
	refused []string           // keys of the wrong type that the last poll met
}

// Run polls until ctx ends.
func (p *poller) Run(ctx context.Context) error {
	first := rand.N(5 * time.Second)
	if p.fixed == 0 {
		first += 10 * time.Second // a fleet that restarts settles first
	} else {
		first = rand.N(p.fixed)
	}
	if !sleep(ctx, first) {
		return nil
	}
	p.store.CleanProcesses(ctx) // for tidiness only; Ruby's processes do it too
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

// poll goes through all that is due. What fails does not keep it from what is behind, unless
// Redis serves nobody.
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

// warn tells of each key that has the wrong type once, as long as it has it.
func (p *poller) warn(keys []string) {
	for _, key := range keys {
		if !slices.Contains(p.refused, key) {
			p.outage.log.Error("a key has the wrong type, so the jobs that go to it stay "+
				"where they are: another program wrote it: RENAME it away, and they go on "+
				"at the next poll", "key", key)
		}
	}
	p.refused = keys
}

// pause is Sidekiq's rule (docs/wire.md 8.2): the average interval grows with
// the number of processes; below ten of them it varies by half, from there on
// from nothing to twice.
func (p *poller) pause(ctx context.Context) time.Duration {
	n, err := p.store.ProcessCount(ctx)
	n = max(n, 1)
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
