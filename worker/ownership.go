package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// beatEvery is the time between two beats. A beat extends the lease, and its reply brings signals
// and the paused queues.
const beatEvery = time.Second

// ownership is the identity of the process in Redis, its lease, and the context of the jobs that
// run under both, the epoch. It computes by its own monotonic clock until when the lease is valid.
// After that time no job starts, and the epoch is cancelled with queue.ErrLeaseLost, whether Redis
// answers or not. When a reclaimer has fenced the identity, the process takes a new one. Its loop,
// the goroutine of Run, does nothing else. Safe for concurrent use.
type ownership struct {
	// New writes these; afterwards they do not change.
	store   *queue.Store
	host    queue.Host
	queues  []string      // of all capsules
	lease   time.Duration // how long a beat extends the lease
	outage  *outage
	log     *slog.Logger
	born    time.Time            // the zero of until
	renewed func(*queue.Owner)   // called with each new identity
	obey    func(o queue.Orders) // carries out what a beat brought; must not block

	jobs    context.Context   // parent of all epochs; a stop cancels it; Runner.Run writes it
	gone    chan *queue.Owner // from fetchers to the loop: identities whose lease is lost
	leaving []*queue.Owner    // earlier identities without a record; only the loop uses it

	// The loop writes until and last, and fetchers set until to 0; all threads read them.
	until  atomic.Int64 // how long after born the lease is valid, in nanoseconds
	last   atomic.Int64 // when a beat last reached Redis, in Unix milliseconds; 0: none has
	turned atomic.Int64 // when the loop last turned, in Unix milliseconds; the watchdog reads it

	// mu guards the rest. The loop writes it; all threads read it.
	mu     sync.Mutex
	owner  *queue.Owner            // the present identity; nil before the first
	epoch  context.Context         // of the jobs that start now
	cancel context.CancelCauseFunc // of epoch
}

func newOwnership(s *queue.Store, h queue.Host, queues []string, lease time.Duration, o *outage,
	log *slog.Logger) *ownership {
	return &ownership{store: s, host: h, queues: queues, lease: lease, outage: o, log: log,
		gone: make(chan *queue.Owner, 1), born: time.Now()}
}

// valid reports whether the lease is surely valid at a time, by our own clock.
func (o *ownership) valid(at time.Time) bool { return int64(at.Sub(o.born)) < o.until.Load() }

// current returns the owner under which to fetch and beat, or nil before the first.
func (o *ownership) current() *queue.Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner
}

// context returns the context of the jobs that start now.
func (o *ownership) context() context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.epoch
}

// extended notes that Redis has carried out a command, sent at the given time, that took or
// extended the lease: the lease cannot end before its length has passed since then. The jobs that
// start from now on have a context that is not cancelled.
func (o *ownership) extended(sent time.Time) {
	o.until.Store(int64(sent.Sub(o.born) + o.lease))
	o.last.Store(time.Now().UnixMilli())
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.epoch.Err() != nil && o.jobs.Err() == nil {
		o.epoch, o.cancel = context.WithCancelCause(o.jobs)
	}
}

// take registers a new identity. It leaves the jobs of the identity before to reclaimers.
func (o *ownership) take(ctx context.Context) error {
	next, sent := o.store.Owner(newIdentity(o.host)), time.Now()
	if err := next.Register(ctx, o.host, o.queues, o.lease); err != nil {
		return err
	}
	o.mu.Lock()
	before, cancel := o.owner, o.cancel
	o.owner = next
	o.epoch, o.cancel = context.WithCancelCause(o.jobs)
	o.mu.Unlock()
	if cancel != nil {
		cancel(queue.ErrLeaseLost)
	}
	o.extended(sent)
	o.renewed(next)
	if before == nil {
		return nil
	}
	o.leaving = append(o.leaving, before)
	o.leave(ctx)
	return nil
}

// leave writes the records of earlier identities. Redis may have lost them, when it was emptied or
// in a failover, and without a record no reclaimer finds the jobs that doorbells landed under that
// identity. After a failure the next beat tries again.
func (o *ownership) leave(ctx context.Context) {
	o.leaving = slices.DeleteFunc(o.leaving, func(before *queue.Owner) bool {
		return before.Leave(ctx, o.host, o.queues) == nil
	})
}

// ends notes that the lease of the present identity is lost: nothing starts under it any more, and
// running jobs are cancelled, also while the next identity is not registered yet. It returns false
// if owner is not the present identity.
func (o *ownership) ends(owner *queue.Owner) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if owner != o.owner {
		return false
	}
	o.until.Store(0)
	o.cancel(queue.ErrLeaseLost)
	return true
}

// lost takes the word of a fetcher that a fetch was refused because the lease is lost.
func (o *ownership) lost(owner *queue.Owner) {
	o.ends(owner)
	select {
	case o.gone <- owner:
	default:
	}
}

// Run extends the lease until ctx ends.
func (o *ownership) Run(ctx context.Context) error {
	calls := context.WithoutCancel(ctx)
	o.beat(calls) // at once, because it brings the paused queues
	for {
		o.turned.Store(time.Now().UnixMilli())
		wait := jittered(beatEvery)
		if left := time.Until(o.born.Add(time.Duration(o.until.Load()))); left > 0 {
			wait = min(wait, left)
		} else {
			o.lapse()
		}
		timer := time.NewTimer(wait)
		select {
		case owner := <-o.gone:
			o.renew(calls, owner)
		case <-timer.C:
			o.beat(calls)
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// lapse cancels running jobs: the lease may have ended, and another process may run them again.
func (o *ownership) lapse() {
	o.mu.Lock()
	first := o.epoch.Err() == nil
	o.cancel(queue.ErrLeaseLost)
	o.mu.Unlock()
	if first {
		o.log.Error("the lease could not be extended in time: nothing starts, and the contexts "+
			"of running jobs are cancelled", "lease", logSeconds(o.lease))
	}
}

// beat extends the lease. It waits for Redis as long as the lease is valid, or, if it is not, for
// the length of a lease.
func (o *ownership) beat(ctx context.Context) {
	sent, owner := time.Now(), o.current()
	left := time.Duration(o.until.Load()) - sent.Sub(o.born)
	if left <= 0 {
		left = o.lease
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	orders, err := owner.Beat(ctx, o.lease)
	switch {
	case errors.Is(err, queue.ErrLeaseLost):
		o.renew(context.WithoutCancel(ctx), owner)
	case err != nil:
		o.outage.failed("beat", err)
	default:
		o.extended(sent)
		o.outage.worked("beat")
		o.leave(ctx)
		o.obey(orders)
	}
}

// renew takes a new identity after another process has declared owner dead: this process stood
// still, or could not reach Redis, for longer than its lease.
func (o *ownership) renew(ctx context.Context, owner *queue.Owner) {
	if !o.ends(owner) {
		return // it has been renewed already
	}
	o.log.Error("the lease of this process is lost: other workers take its jobs, and the contexts "+
		"of the jobs that run here are cancelled", "identity", owner.Identity)
	if err := o.take(ctx); err != nil {
		o.outage.failed("beat", err)
		return
	}
	o.log.Warn("goes on under a new identity", "identity", o.current().Identity)
}
