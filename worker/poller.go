package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// promotePage bounds one script of the poller.
const promotePage = 100

// poller moves jobs that are due from the retry and schedule sets to their
// queues, and held jobs that this process can run. All processes of the fleet poll; the more there are, the less often
// each does.
type poller struct {
	store    *queue.Store
	outage   *outage
	interval time.Duration // of the whole fleet, on average
	fixed    time.Duration // of this process, if set

	classes, queues []string // that this process serves: held jobs of both are for it to take out
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

func (p *poller) poll(ctx context.Context) error {
	calls := context.WithoutCancel(ctx)
	for _, set := range queue.DueSets {
		for ctx.Err() == nil {
			_, due, err := p.store.Promote(calls, set, time.Now(), promotePage)
			if err != nil {
				return err
			}
			if due < promotePage {
				break
			}
		}
	}
	_, err := p.store.Release(calls, p.classes, p.queues, promotePage)
	return err
}

// pause is Sidekiq's rule (sidekiq-wire 8.2): the average interval grows with
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
