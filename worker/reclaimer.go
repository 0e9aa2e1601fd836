package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const (
	reclaimEvery = time.Second // the time between two sweeps
	reclaimPage  = 50          // the most jobs that one script takes from a dead owner
	sweepPage    = 100         // the most dead owners of one sweep
	// lookAgain is how soon a dead owner without jobs is looked at again: a late command of the
	// owner may still bring it a job.
	lookAgain = 2 * time.Second
	// remembered is how long a dead identity is kept after its jobs were taken: longer than a
	// command of that owner can hang in Redis or on the way.
	remembered = time.Minute
	// longestLease is the longest lease that a Config can have. A lease that ends later was written
	// before Redis's clock was set back.
	longestLease = 10 * time.Minute
	// clockSet is how far Redis's clock may move against our own between two sweeps. If it moves
	// further, somebody has set it.
	clockSet = 500 * time.Millisecond
)

// reclaimer takes the jobs in flight of dead owners back to the heads of their queues. An owner is
// dead when it gave up its lease, when its lease has ended, or, on this machine, when its process
// is gone.
type reclaimer struct {
	// feed writes these; afterwards they do not change.
	store    *queue.Store
	owners   *ownership
	outage   *outage
	poison   queue.Poison
	log      *slog.Logger
	notify   func(payload string) // called with each job that turned out to be poison
	observer Observer             // nil: none

	// Only the loop of Run reads and writes these.
	running context.Context        // of Run; ends with the intake
	known   map[string]*ownerFacts // by identity: owners that may be dead, or are on this machine
	skip    int                    // how many fenced owners the next sweep skips
	offset  time.Duration          // Redis's clock less our own
	setAt   time.Time              // when Redis's clock was last seen to be set
	refused bool                   // the last sweep could not put jobs of an operation back
}

// ownerFacts are what another owner wrote about itself, which does not change, and what the sweeps
// saw of it. Times are by our own clock. Only the loop of the reclaimer uses them.
type ownerFacts struct {
	host   queue.Host
	queues []string
	score  string    // the end of its lease, as Redis has it
	beat   time.Time // when the score was last seen to change
	next   time.Time // when it is looked at again, once it is fenced
	seen   time.Time // when a sweep last found it
	told   bool      // it was logged that its jobs cannot be taken
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

// sweep looks for dead owners once, and reclaims them. more says that all owners of this machine in
// the reply were dead, so that further ones may follow. An owner whose recovery fails does not stop
// the recovery of others.
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
	more = len(s.Neighbours) > 0
	for _, l := range s.Neighbours {
		gone := try(l, func(f *ownerFacts) bool {
			return !l.Fenced && provenDead(r.owners.host, f.host)
		})
		more = more && gone
	}
	if err := r.putBack(ctx, s.Sifts); err != nil {
		lost = err
	}
	for identity, f := range r.known {
		if time.Since(f.seen) > remembered {
			delete(r.known, identity)
		}
	}
	return more && lost == nil, lost
}

// putBack puts the jobs back that bulk operations hold whose callers have died. The error is of the
// connection.
func (r *reclaimer) putBack(ctx context.Context, sifts map[string]string) error {
	ids, err := r.store.PutBack(ctx, sifts)
	for _, id := range ids {
		r.log.Warn("a bulk operation stopped in the middle: the jobs that it held are back in "+
			"their queues; `workerctl operations resume` goes on with it", "operation", id)
	}
	refused := errors.Is(err, queue.ErrWrongType) || redisdb.Rejected(err)
	if refused && !r.refused {
		r.log.Error("the jobs of a bulk operation cannot be put back: "+
			"rename or delete the key that the error is about", "err", err)
	}
	if r.refused = refused; refused {
		return nil
	}
	return err
}

// look compares how far Redis's clock and our own moved since the last sweep. If Redis's clock was
// set, it says nothing about leases for the length of a lease.
func (r *reclaimer) look(redis, began time.Time) {
	offset := redis.Sub(r.owners.born.Add(time.Since(r.owners.born))) // by our monotonic clock
	slack := clockSet + time.Since(began)
	if moved := offset - r.offset; moved > slack || moved < -slack {
		r.setAt = time.Now()
	}
	r.offset = offset
}

// judge reclaims an owner if dead says that it is dead. It reports whether it was.
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

// facts returns what is known about an owner. It reads the owner's record the first time.
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

// silent reports whether an owner is dead whose lease has ended, or ends later than any lease can.
// After an outage of Redis, and after Redis's clock was set, all owners get the length of a lease
// to beat first, so that a clock alone declares no owner dead. A lease that has ended is watched
// for an eighth of its length more. A lease that ends too late is judged by our own clock: the
// owner is dead if the score does not change for the length of a lease.
func (r *reclaimer) silent(l queue.Lease, f *ownerFacts) bool {
	length := max(r.owners.lease, f.host.Lease)
	if r.outage.steadyFor() <= length || time.Since(r.setAt) <= length {
		return false
	}
	if l.Ended {
		length /= 8 // in this time a late beat would be seen
	}
	return time.Since(f.beat) > length
}

// reclaim fences an owner, takes its jobs, and forgets it after a while.
func (r *reclaimer) reclaim(ctx context.Context, l queue.Lease, f *ownerFacts) error {
	if !l.Fenced {
		fenced, err := r.store.Fence(ctx, l)
		if err != nil || !fenced {
			return err // nil: the owner has beaten meanwhile
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

// find looks for the queues of an owner whose record is missing.
func (r *reclaimer) find(identity string, f *ownerFacts) (err error) {
	if len(f.queues) > 0 {
		return nil
	}
	// A stop interrupts this walk over the keys, because it only reads.
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

// empty takes the jobs of one queue from a dead owner, a page at a time.
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

// tell reports the jobs that were taken from a dead owner.
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
		r.log.Error("a job was reclaimed, but not everything that it held was released",
			"queue", q, "err", why)
	}
	for _, payload := range got.Poisoned {
		r.log.Error("poison: workers keep dying with this job, it goes to the dead set", "queue", q)
		r.notify(payload)
	}
}
