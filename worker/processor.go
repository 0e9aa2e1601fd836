package worker

import (
	"context"
	"log/slog"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

// ErrorHandler is called after every failure: of a job (j is its envelope), or of bytes that are
// not a job (j is nil). It runs after the result was handed over, in a goroutine of its own. The
// handlers of one failure may take 5 s together; then the thread goes on without them. A panic is
// logged. ctx ends after these 5 s, not when the worker stops.
type ErrorHandler func(ctx context.Context, err error, j *queue.Job)

// DeathHandler is called for a job that will not run again after a failure: its retries are
// exhausted, its handler killed or discarded it, or it asked not to be retried. It is called as an
// ErrorHandler is.
type DeathHandler func(ctx context.Context, j *queue.Job, err error)

// processor is what the slots of all capsules share to run jobs. newProcessor writes its fields;
// afterwards they do not change.
type processor struct {
	callbacks *callbacks
	handlers  map[string]*entry // by class
	classes   []string          // that have a handler
	policy    policy
	log       *slog.Logger
	jobLog    bool // write the lines that a job begins and ends with
	onError   []ErrorHandler
	onDeath   []DeathHandler
	env       *environment
	unknown   Unknown
	batches   bool     // jobs of Sidekiq Pro's batches may run
	observer  Observer // nil: none

	poison     queue.Poison
	quarantine *quarantine
	recent     *recent
}

// work has s run jobs until no more come. done says that s has just run one. A handler that calls
// runtime.Goexit ends the goroutine, which nothing can prevent. Then work calls goOn, which starts
// another goroutine for s.
func (p *processor) work(s *slot, pool *pool, done bool, goOn func()) error {
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
	for e, l, now := pool.next(s, done); e != nil; e, l, now = pool.next(s, true) {
		failpoint.Hit("registered")
		*r = run{processor: p, entry: e, ledger: l, slot: s, epoch: l.owners.context(), start: now}
		r.process()
		*r = run{} // a thread that waits must not keep a payload in memory
	}
	exited = false
	return nil
}
