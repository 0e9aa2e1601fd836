package worker

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

// ErrorHandler is told of every failure: of a job's (j is its envelope), or of
// bytes that are no job (j is nil).
type ErrorHandler func(ctx context.Context, err error, j *queue.Job)

// DeathHandler is told of a job that will not run again: its retries are
// exhausted, it was killed or discarded, or it asked not to be retried.
type DeathHandler func(ctx context.Context, j *queue.Job, err error)

// processor runs jobs: it is what the slots of all capsules share.
type processor struct {
	ledger    *ledger
	callbacks *callbacks
	handlers  map[string]*entry
	classes   []string
	policy    policy
	log       *slog.Logger
	jobLog    bool
	onError   []ErrorHandler
	onDeath   []DeathHandler
	env       *environment
	unknown   Unknown
	batches   bool // jobs of Sidekiq Pro's batches may run
	observer  Observer

	poison     queue.Poison
	quarantine *quarantine

	processed, failed atomic.Int64
}

// work lets s run jobs until there are no more; done tells that it has just run one. A
// handler that calls runtime.Goexit ends the goroutine, and nothing can stop that: then goOn
// is called, for another goroutine to run s.
func (p *processor) work(s *slot, pool *pool, epoch func() context.Context, done bool,
	goOn func()) error {
	s.mu.Lock()
	s.goroutine = goroutineName()
	s.mu.Unlock()
	exited := true
	defer func() {
		if exited {
			goOn()
		}
	}()
	r := new(run)
	for e, now := pool.next(s, done); e != nil; e, now = pool.next(s, true) {
		failpoint.Hit("registered")
		*r = run{processor: p, entry: e, slot: s, epoch: epoch(), start: now}
		r.process()
		*r = run{} // a thread that waits keeps no payload
	}
	exited = false
	return nil
}
