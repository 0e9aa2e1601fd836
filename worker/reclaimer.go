package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

const (
	reclaimEvery = time.Second
	reclaimPage  = 50
	// grave is how long a dead identity is remembered after its jobs were taken:
	// longer than a command of its can hang in Redis or on the way.
	grave = time.Minute
)

// reclaimer takes the jobs of dead owners out of their hands, back to the heads
// of their queues. An owner is dead when it gave up its lease, when it has not
// beaten for a lease's length, or, on this host, when its process is gone.
type reclaimer struct {
	store    *queue.Store
	owners   *ownership
	outage   *outage
	poison   queue.Poison
	log      *slog.Logger
	notify   func(payload string) // of a job that turned out to be poison
	observer Observer

	owned map[string]*ownerFacts
}

// ownerFacts are what another owner wrote of itself, which does not change, and
// when its lease was last seen to be extended, by our own clock.
type ownerFacts struct {
	host   queue.Host
	queues []string
	score  string
	beat   time.Time
}

// Run reclaims until ctx ends.
func (r *reclaimer) Run(ctx context.Context) error {
	r.owned = map[string]*ownerFacts{}
	for {
		if err := r.sweep(context.WithoutCancel(ctx)); err != nil {
			r.outage.failed("reclaim", err)
		} else {
			r.outage.worked("reclaim")
		}
		if !sleep(ctx, jittered(reclaimEvery)) {
			return nil
		}
	}
}

func (r *reclaimer) sweep(ctx context.Context) error {
	leases, err := r.store.Leases(ctx)
	if err != nil {
		return err
	}
	self, seen := r.owners.current().Identity, map[string]*ownerFacts{}
	for _, l := range leases {
		if l.Identity == self {
			continue
		}
		facts := r.owned[l.Identity]
		if facts == nil {
			facts = new(ownerFacts)
			if facts.host, facts.queues, err = r.store.OwnerHost(ctx, l.Identity); err != nil {
				return err
			}
		}
		if facts.score != l.Score {
			facts.score, facts.beat = l.Score, time.Now()
		}
		seen[l.Identity] = facts
		if !r.dead(l, facts) {
			continue
		}
		if err := r.reclaim(ctx, l, facts.queues); err != nil {
			return err
		}
	}
	r.owned = seen
	return nil
}

// dead judges an owner: it is dead if nobody has seen it beat for the length of a
// lease, by our own monotonic clock, so that no clock that is set can kill the
// living or keep the dead. After an outage of Redis the living get one lease's
// length to beat first.
func (r *reclaimer) dead(l queue.Lease, f *ownerFacts) bool {
	switch {
	case l.Fenced, provenDead(r.owners.host, f.host):
		return true
	default:
		silent := max(r.owners.lease, f.host.Lease)
		return time.Since(f.beat) > silent && r.outage.steadyFor() > r.owners.lease
	}
}

func (r *reclaimer) reclaim(ctx context.Context, l queue.Lease, queues []string) error {
	if len(queues) == 0 {
		queues = r.owners.queues // it never said: look where we look
	}
	if !l.Fenced {
		fenced, err := r.store.Fence(ctx, l, queues)
		if err != nil || !fenced {
			return err // it has beaten after all
		}
		r.log.Warn("a worker is dead: its jobs go back to their queues", "identity", l.Identity)
	}
	for _, q := range queues {
		for more := true; more; {
			failpoint.Hit("reclaim_mid")
			got, rest, err := r.store.Reclaim(ctx, l.Identity, q, r.poison, reclaimPage)
			if err != nil {
				return err
			}
			more = rest && got.Requeued+len(got.Poisoned) > 0
			r.tell(l.Identity, q, got)
		}
	}
	_, err := r.store.Bury(ctx, l.Identity, queues, grave)
	return err
}

func (r *reclaimer) tell(identity, q string, got queue.Reclaimed) {
	if n := got.Requeued + len(got.Poisoned); r.observer != nil && n > 0 {
		r.observer.Reclaimed(got.Requeued, len(got.Poisoned))
	}
	if got.Requeued > 0 {
		r.log.Warn("reclaimed", "identity", identity, "queue", q, "jobs", got.Requeued)
	}
	for _, payload := range got.Poisoned {
		r.log.Error("poison: workers keep dying with this job, it goes to the dead set", "queue", q)
		r.notify(payload)
	}
}
