package worker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const (
	reclaimEvery = time.Second
	reclaimPage  = 50
	sweepPage    = 100
	// lookAgain is how soon a dead owner that held nothing is looked at again: a late command
	// of its may still bring it a job.
	lookAgain = 2 * time.Second
	// remembered is how long a dead identity is kept after its jobs were taken: longer than a
	// command of its can hang in Redis or on the way.
	remembered = time.Minute
	// longestLease is the longest that a lease can sensibly be: one that ends later was written
	// before Redis's clock was set back.
	longestLease = 10 * time.Minute
	// clockSet is how far Redis's clock may run from our own between two looks, before it
	// counts as set.
	clockSet = 500 * time.Millisecond
)

// reclaimer takes the jobs of dead owners out of their hands, back to the heads of their
// queues. An owner is dead when it gave up its lease, when its lease has ended, or, on this
// host, when its process is gone. Run owns all fields.
type reclaimer struct {
	store    *queue.Store
	owners   *ownership
	outage   *outage
	poison   queue.Poison
	log      *slog.Logger
	notify   func(payload string) // of a job that turned out to be poison
	observer Observer

	running context.Context        // of Run: ends with the intake
	known   map[string]*ownerFacts // of owners that may be dead, and of those beside us
	skip    int                    // of the fenced owners, for the next look
	offset  time.Duration          // Redis's clock less our own
	setAt   time.Time              // when Redis's clock was last seen to be set
}

// ownerFacts are what another owner wrote of itself, which does not change, and what was
// seen of it, by our own clock.
type ownerFacts struct {
	host   queue.Host
	queues []string
	score  string
	beat   time.Time // when its score last changed
	next   time.Time // when it is looked at again, once it is fenced
	seen   time.Time
	told   bool // it was logged that it cannot be reclaimed
}

// Run reclaims until ctx ends.
func (r *reclaimer) Run(ctx context.Context) error {
	r.running, r.known, r.setAt = ctx, map[string]*ownerFacts{}, time.Now()
	calls := context.WithoutCancel(ctx)
	for {
		more, err := r.sweep(calls)
		if err != nil {
			r.outage.failed("reclaim", err)
		} else {
			r.outage.worked("reclaim")
		}
		if more && ctx.Err() == nil {
			continue
		}
		if !sleep(ctx, jittered(reclaimEvery)) {
			return nil
		}
	}
}

// sweep looks once. more tells that all owners beside us were dead: there may be others
// behind them. An owner whose recovery fails holds up no other.
func (r *reclaimer) sweep(ctx context.Context) (more bool, err error) {
	self, began := r.owners.current(), time.Now()
	s, err := self.Sweep(ctx, r.owners.host, sweepPage, r.skip, longestLease)
	if err != nil {
		return false, err
	}
	r.look(s.Now, began)
	if r.skip += len(s.Fenced); len(s.Fenced) < sweepPage {
		r.skip = 0
	}
	var lost error
	try := func(l queue.Lease, dead func(*ownerFacts) bool) (done bool) {
		done, err := r.judge(ctx, l, dead)
		if err != nil && !redisdb.Rejected(err) {
			lost = err
		}
		return done
	}
	for _, l := range s.Fenced {
		try(l, func(f *ownerFacts) bool { return !began.Before(f.next) })
	}
	for _, l := range s.Ended {
		try(l, func(f *ownerFacts) bool { return r.silent(l, f) })
	}
	more = len(s.Beside) > 0
	for _, l := range s.Beside {
		gone := try(l, func(f *ownerFacts) bool {
			return !l.Fenced && provenDead(r.owners.host, f.host)
		})
		more = more && gone
	}
	for identity, f := range r.known {
		if time.Since(f.seen) > remembered {
			delete(r.known, identity)
		}
	}
	return more && lost == nil, lost
}

// look compares Redis's clock with our own since the last look: a clock that was set says
// nothing about leases for the length of one.
func (r *reclaimer) look(redis, began time.Time) {
	offset := redis.Sub(r.owners.born.Add(time.Since(r.owners.born))) // of the monotonic clock
	slack := clockSet + time.Since(began)
	if moved := offset - r.offset; moved > slack || moved < -slack {
		r.setAt = time.Now()
	}
	r.offset = offset
}

// judge reclaims an owner if it is dead.
func (r *reclaimer) judge(ctx context.Context, l queue.Lease,
	dead func(*ownerFacts) bool) (bool, error) {
	if l.Identity == r.owners.current().Identity {
		return false, nil
	}
	f, err := r.facts(ctx, l)
	if err != nil || !dead(f) {
		return false, err
	}
	if err = r.reclaim(ctx, l, f); err != nil && redisdb.Rejected(err) && !f.told {
		f.told = true
		r.log.Error("a dead worker's jobs cannot be taken: "+
			"rename or delete the key that the error is about",
			"identity", l.Identity, "err", err)
	}
	return true, err
}

// facts are what is known of an owner, read once.
func (r *reclaimer) facts(ctx context.Context, l queue.Lease) (*ownerFacts, error) {
	f := r.known[l.Identity]
	if f == nil {
		f = new(ownerFacts)
		var err error
		if f.host, f.queues, err = r.store.OwnerHost(ctx, l.Identity); err != nil {
			return nil, err
		}
		r.known[l.Identity] = f
	}
	f.seen = time.Now()
	if f.score != l.Score {
		f.score, f.beat = l.Score, f.seen
	}
	return f, nil
}

// silent judges an owner whose lease has ended. After an outage of Redis the living get one lease's
// length to beat first; likewise after Redis's clock was set, so that no clock can kill the living.
// A lease that has ended is watched for a moment more. One that ends too late to be true is judged
// by our own clock: its score must not change for a lease's length.
func (r *reclaimer) silent(l queue.Lease, f *ownerFacts) bool {
	length := max(r.owners.lease, f.host.Lease)
	if r.outage.steadyFor() <= length || time.Since(r.setAt) <= length {
		return false
	}
	if l.Ended {
		length /= 8 // a moment more, in which a beat would be seen
	}
	return time.Since(f.beat) > length
}

func (r *reclaimer) reclaim(ctx context.Context, l queue.Lease, f *ownerFacts) error {
	if !l.Fenced {
		fenced, err := r.store.Fence(ctx, l)
		if err != nil || !fenced {
			return err // it has beaten after all
		}
		r.log.Warn("a worker is dead: its jobs go back to their queues", "identity", l.Identity)
	}
	f.next = time.Now().Add(jittered(lookAgain))
	if err := r.find(l.Identity, f); err != nil {
		return err
	}
	var first error
	for _, q := range f.queues {
		if err := r.empty(ctx, l.Identity, q); err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	_, err := r.store.Forget(ctx, l.Identity, f.host, f.queues, remembered)
	return err
}

// find looks for the queues of an owner whose record is missing: it never said which.
func (r *reclaimer) find(identity string, f *ownerFacts) (err error) {
	if len(f.queues) > 0 {
		return nil
	}
	// A stop does not wait for the walk: it only reads.
	if f.queues, err = r.store.QueuesOf(r.running, identity); err != nil {
		return err
	}
	for _, q := range r.owners.queues {
		if !slices.Contains(f.queues, q) {
			f.queues = append(f.queues, q)
		}
	}
	return nil
}

// empty takes the jobs of one queue out of a dead owner's hands, a page at a time.
func (r *reclaimer) empty(ctx context.Context, identity, q string) error {
	for more := true; more; {
		failpoint.Hit("reclaim_mid")
		got, rest, err := r.store.Reclaim(ctx, identity, q, r.poison, reclaimPage)
		if err != nil {
			return err
		}
		more = rest
		r.tell(identity, q, got)
	}
	return nil
}

func (r *reclaimer) tell(identity, q string, got queue.Reclaimed) {
	if n := got.Requeued + len(got.Poisoned); r.observer != nil && n > 0 {
		r.observer.Reclaimed(got.Requeued, len(got.Poisoned))
	}
	if got.Refused > 0 {
		r.log.Error("a dead worker's jobs wait: "+
			"a key (their queue, queues or dead) holds a wrong type; rename or delete it",
			"identity", identity, "queue", q, "jobs", got.Refused)
	}
	if n := got.Requeued + got.Landed; n > 0 {
		r.log.Warn("reclaimed", "identity", identity, "queue", q, "jobs", n)
	}
	for _, why := range got.Failed {
		r.log.Error("a job was reclaimed, but not all that it held was released", "queue", q,
			"err", why)
	}
	for _, payload := range got.Poisoned {
		r.log.Error("poison: workers keep dying with this job, it goes to the dead set", "queue", q)
		r.notify(payload)
	}
}
