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

// beatEvery is how often the lease is extended; remote signals and paused queues come along.
const beatEvery = time.Second

// ownership is the process's identity in Redis, its lease, and, bound to both, the context
// of the jobs that run. It notes by its own monotonic clock until when the lease surely
// holds. Past that moment nothing starts and what runs is cancelled with
// queue.ErrLeaseLost, whether or not Redis can be reached. When a reclaimer has taken the
// identity, it takes a new one. Safe for concurrent use. Nothing else is done on the loop
// that keeps the lease.
type ownership struct {
	store  *queue.Store
	host   queue.Host
	queues []string
	lease  time.Duration
	outage *outage
	log    *slog.Logger
	jobs   context.Context // parent of all epochs; cancelled by the shutdown

	renewed func(*queue.Owner)   // is told of each new identity
	obey    func(o queue.Orders) // carries out what a beat brought; must not block
	gone    chan *queue.Owner    // owners whose loss a fetcher noticed first
	leaving []*queue.Owner       // the identities before, not yet written down; only Run touches it
	born    time.Time            // what until counts from
	until   atomic.Int64         // how long after born the lease surely holds, in nanoseconds
	last    atomic.Int64         // when a beat last reached Redis, in Unix milliseconds
	turned  atomic.Int64         // when the loop last turned over, likewise

	mu     sync.Mutex // guards the rest; only Run and take write
	owner  *queue.Owner
	epoch  context.Context
	cancel context.CancelCauseFunc
}

func newOwnership(s *queue.Store, h queue.Host, queues []string, lease time.Duration, o *outage,
	log *slog.Logger) *ownership {
	return &ownership{store: s, host: h, queues: queues, lease: lease, outage: o, log: log,
		gone: make(chan *queue.Owner, 1), born: time.Now()}
}

// holds reports whether the lease surely holds in this moment.
func (o *ownership) holds(at time.Time) bool { return int64(at.Sub(o.born)) < o.until.Load() }

// current is the owner under which to fetch and beat.
func (o *ownership) current() *queue.Owner {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner
}

// context is that of the jobs that start now.
func (o *ownership) context() context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.epoch
}

// extended notes that a command that took or extended the lease was sent at a moment, and
// that Redis has carried it out: it cannot end before a lease's length from then. Jobs that
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

// take registers a new identity. What the one before held is left to reclaimers.
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

// leave writes down the identities before. One may be written down nowhere: Redis was
// emptied, or a failover lost it. It must be, for a reclaimer to find what its doorbells
// landed. What fails is tried again after the next beat.
func (o *ownership) leave(ctx context.Context) {
	o.leaving = slices.DeleteFunc(o.leaving, func(before *queue.Owner) bool {
		return before.Leave(ctx, o.host, o.queues) == nil
	})
}

// ends notes that the lease of the present identity is lost: nothing starts under it any more,
// and what runs is cancelled, also while Redis has not taken the next one down yet. It returns
// false if owner is not the present one.
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

// lost tells that a fetch was refused for want of a lease.
func (o *ownership) lost(owner *queue.Owner) {
	o.ends(owner)
	select {
	case o.gone <- owner:
	default:
	}
}

// Run keeps the lease until ctx ends.
func (o *ownership) Run(ctx context.Context) error {
	calls := context.WithoutCancel(ctx)
	o.beat(calls) // it tells what is paused
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

// lapse cancels what runs: the lease may have ended, and a peer may run it again.
func (o *ownership) lapse() {
	o.mu.Lock()
	first := o.epoch.Err() == nil
	o.cancel(queue.ErrLeaseLost)
	o.mu.Unlock()
	if first {
		o.log.Error("the lease could not be extended in time: nothing starts, and the contexts "+
			"of running jobs are cancelled", "lease", o.lease)
	}
}

// beat extends the lease. It waits for Redis no longer than the lease holds, or, if it has
// ended, for a beat's length.
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

// renew takes a new identity after owner was declared dead: the process was stopped, or cut
// off, for longer than its lease.
func (o *ownership) renew(ctx context.Context, owner *queue.Owner) {
	if !o.ends(owner) {
		return // it has been renewed already
	}
	o.log.Error("the lease of this process is lost: others have its jobs, the contexts of those "+
		"that run here are cancelled", "identity", owner.Identity)
	if err := o.take(ctx); err != nil {
		o.outage.failed("beat", err)
		return
	}
	o.log.Warn("goes on under a new identity", "identity", o.current().Identity)
}
