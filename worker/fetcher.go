package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"golang.org/x/sync/errgroup"
)

const (
	// lanes is how many fetches may be under way at once: while one is at Redis,
	// the jobs that another brought run.
	lanes = 2
	// secondTrip is how many threads must be free for another fetch to go while
	// one is under way. With fewer it is better to wait for it: two half empty
	// trips cost twice.
	secondTrip = 16
	// gatherFor is how long the fetcher waits for one more thread to come free
	// before it goes. A round trip takes several times as long.
	gatherFor = 10 * time.Microsecond
	// auditEvery is how often Redis is asked whether it holds jobs for us that
	// we do not know of, beside after every lost reply.
	auditEvery = 30 * time.Second
	// backlog: a bell that rings so soon after it was hung, beside the time that a
	// trip takes, rang for a job that was waiting already. More may wait: fetching
	// takes them in batches.
	backlog = time.Millisecond
	// unhangAfter is how long all threads are busy before bells are taken down:
	// shorter, and short jobs would have them hung and unhung for nothing.
	unhangAfter = 20 * time.Millisecond
	// unhangWithin is how long Redis may take to take the bells down.
	unhangWithin = time.Second
	// pollEvery is how often a sleeping fetcher looks for jobs where it cannot
	// hang bells, and pollFor how long before it tries them again.
	pollEvery = 100 * time.Millisecond
	pollFor   = 5 * time.Second
	// finishWithin is how long a stop waits for Redis to take the bells down.
	finishWithin = time.Second
	// turnEvery is how often the loop turns over when nothing happens, to show
	// that it lives: a watchdog of a second must not bark.
	turnEvery = time.Second / 2
)

// fetcher takes jobs for a capsule: as many as it has free threads, never more.
// Awake it fetches in batches; when a fetch came back short, all queues are
// empty, and it sleeps behind a doorbell on each. One goroutine (Run) owns all
// of its fields; lanes and bells talk to it through channels.
type fetcher struct {
	capsule  *Capsule
	pool     *pool
	settler  *settler
	owners   *ownership
	outage   *outage
	log      *slog.Logger
	observer Observer

	names  []string
	pauses chan []string // the paused queues, whenever they change
	paused []string

	trips   chan trip     // to the lanes
	results chan trip     // from the lanes
	out     int           // trips under way
	dry     bool          // one came back short: no other goes beside those under way
	took    time.Duration // by the last trip
	timer   *time.Timer

	bells  []*bell
	rings  chan *bell // bells that came down
	asleep bool
	fullAt time.Time // since when no thread is free

	polling bool      // bells are refused
	bellsAt time.Time // when to try them again
	polled  time.Time

	ended func() error // of the intake: what comes after its end goes back

	quarantine *quarantine
	still      atomic.Bool // no fetch or bell is under way, and none goes: somebody is in quarantine, or it has ended

	turned  atomic.Int64 // when the loop last turned over, in Unix milliseconds
	fetched atomic.Bool  // a fetch has worked

	owner   *queue.Owner
	renewed <-chan struct{}
	putBack []*queue.Delivery // rang, but may not start before a fetch has looked at the queues above
	audit   bool              // a reply was lost
	auditAt time.Time
	wait    backoff
	notTill time.Time // of the backoff
}

func newFetcher(c *Capsule, p *pool, s *settler, own *ownership, o *outage, log *slog.Logger) *fetcher {
	f := &fetcher{capsule: c, pool: p, settler: s, owners: own, outage: o, log: log, names: c.names(),
		pauses: make(chan []string, 1), renewed: own.subscribe(), trips: make(chan trip, lanes), results: make(chan trip, lanes)}
	f.rings = make(chan *bell, len(f.names))
	for _, name := range f.names {
		f.bells = append(f.bells, &bell{name: name, hang: make(chan *queue.Bell, 1)})
	}
	return f
}

// Run fetches until ctx ends. Then it takes the bells down and returns, with
// every job it was given handed to the pool or put back. It closes the pool. Only
// if Redis hangs are calls left behind, which end by their timeouts.
func (f *fetcher) Run(ctx context.Context) error {
	f.ended = ctx.Err
	g := new(errgroup.Group)
	calls := context.WithoutCancel(ctx) // a call under way is not torn: what it brings would be lost to us
	for range lanes {
		g.Go(func() error {
			for t := range f.trips {
				f.results <- t.travel(calls, f.names, f.settler.store)
			}
			return nil
		})
	}
	for _, b := range f.bells {
		g.Go(func() error {
			for r := range b.hang {
				b.job, b.err = r.Ring(calls)
				f.rings <- b
			}
			return nil
		})
	}
	f.auditAt = time.Now().Add(jittered(auditEvery))
	f.timer = time.NewTimer(0)
	defer f.timer.Stop()
	for ctx.Err() == nil {
		f.turned.Store(time.Now().UnixMilli())
		f.act(calls)
		f.listen(ctx)
	}
	down := f.finish(calls)
	f.still.Store(true)
	close(f.trips)
	for _, b := range f.bells {
		close(b.hang)
	}
	f.pool.close()
	if !down {
		f.log.Warn("Redis does not answer: what it may still bring is left to be reclaimed")
		return nil // the calls under way end by their timeouts
	}
	return g.Wait()
}

// listen waits for something to happen, and notes it.
func (f *fetcher) listen(ctx context.Context) {
	f.timer.Reset(f.patience())
	select {
	case <-f.pool.freed:
	case t := <-f.results:
		f.arrived(t)
	case b := <-f.rings:
		f.rang(b)
	case f.paused = <-f.pauses:
		f.asleep = false // a queue that is open again may hold jobs
	case <-f.renewed:
	case <-f.timer.C:
	case <-ctx.Done():
	}
}

// patience is how long to wait for an event before looking again anyway.
func (f *fetcher) patience() time.Duration {
	switch {
	case f.resting():
		return time.Until(f.notTill)
	case f.quarantine.closed(nil):
		return aloneEvery
	case !f.fullAt.IsZero() && f.anyUp(), f.audit:
		return unhangAfter
	case f.asleep && f.polling:
		return pollEvery
	default:
		return min(max(time.Until(f.auditAt), 0)+time.Millisecond, turnEvery)
	}
}

func (f *fetcher) resting() bool { return time.Now().Before(f.notTill) }

// act does what is to be done now.
func (f *fetcher) act(ctx context.Context) {
	if owner := f.owners.current(); owner != f.owner {
		f.owner, f.asleep = owner, false
		for _, b := range f.bells {
			b.old = true
		}
	}
	if n := f.owner.Buried(); n > 0 {
		f.log.Error("too large to be read: it goes to the dead set as it is", "jobs", n)
	}
	f.unhang(ctx, func(b *bell) bool { return b.old || slices.Contains(f.paused, b.name) })
	closed := f.quarantine.closed(nil)
	f.still.Store(closed && f.quietNow(ctx))
	if closed {
		f.flushPutBack()
		return
	}
	if f.resting() {
		return
	}
	if f.audit || time.Now().After(f.auditAt) {
		if !f.quietDown(ctx) {
			return
		}
		f.auditNow(ctx)
	}
	free := f.pool.freeCount()
	if free == 0 {
		f.full(ctx)
		return
	}
	f.fullAt = time.Time{}
	if f.asleep {
		f.sleepOrPoll(ctx)
		return
	}
	if f.out == 0 || (f.out < lanes && !f.dry && free >= secondTrip) {
		f.depart(ctx)
	}
}

// gather lets jobs that end in this moment end: a trip costs the same for one job
// as for fifteen. Long jobs do not hold it up.
func (f *fetcher) gather() {
	free, progress := f.pool.freeCount(), time.Now()
	for free < f.capsule.Concurrency && time.Since(progress) < gatherFor {
		runtime.Gosched()
		if now := f.pool.freeCount(); now != free {
			free, progress = now, time.Now()
		}
	}
}

// depart sends a trip for all free threads. A small capsule has at most one
// under way: it goes itself, which saves handing the trip over and back.
func (f *fetcher) depart(ctx context.Context) {
	f.gather()
	want := f.pool.reserve(queue.MaxFetch)
	t := trip{owner: f.owner, want: want, acks: f.settler.takeAcks(f.owner, queue.MaxFetch),
		putBack: f.putBack, draws: f.capsule.draws(want)}
	f.putBack = nil
	f.out++
	if f.capsule.Concurrency < 2*secondTrip {
		f.arrived(t.travel(ctx, f.names, f.settler.store))
	} else {
		f.trips <- t
	}
}

// arrived hands out what a trip brought.
func (f *fetcher) arrived(t trip) {
	f.out--
	f.dry = len(t.jobs) < t.want
	if f.observer != nil {
		f.observer.Fetched(t.took, len(t.jobs), t.err)
	}
	if f.ended() != nil {
		slices.Reverse(t.jobs) // each goes to the head: the oldest is put back last
		f.putBack = append(f.putBack, t.jobs...)
		t.jobs = nil
	}
	f.pool.deliver(t.jobs, t.want-len(t.jobs))
	f.settler.count(t.stale)
	switch {
	case errors.Is(t.err, queue.ErrLeaseLost):
		f.owners.lost(t.owner)
		f.rest()
	case t.err != nil:
		f.settler.giveBack(t.acks)
		f.failed(t.err)
	default:
		f.fetched.Store(true)
		f.took = t.took
		f.outage.worked("fetch")
		f.wait.reset()
		f.asleep = f.dry && f.out == 0
	}
}

// failed notes an error after which Redis may hold jobs for us that we do not
// know of. What was to be put back is found by the audit too.
func (f *fetcher) failed(err error) {
	f.outage.failed("fetch", err)
	f.audit, f.asleep = true, false
	f.rest()
}

func (f *fetcher) rest() { f.notTill = time.Now().Add(f.wait.next()) }

// full is what to do while no thread is free: let others have what rings.
func (f *fetcher) full(ctx context.Context) {
	if f.fullAt.IsZero() {
		f.fullAt = time.Now()
	}
	if time.Since(f.fullAt) >= unhangAfter {
		f.unhang(ctx, func(*bell) bool { return true })
	}
	f.flushPutBack()
}

// flushPutBack gives to the settler what rang when nobody could take it.
func (f *fetcher) flushPutBack() {
	for _, d := range f.putBack {
		f.settler.add(queue.Settlement{Delivery: d, Action: queue.Requeue})
	}
	f.putBack = nil
}

// quietDown reports whether nothing is under way any more, and helps to get
// there.
func (f *fetcher) quietDown(ctx context.Context) bool {
	f.audit = true
	return f.quietNow(ctx)
}

// quietNow takes the bells down, and reports whether nothing is under way.
func (f *fetcher) quietNow(ctx context.Context) bool {
	f.unhang(ctx, func(*bell) bool { return true })
	return f.out == 0 && !f.anyUp()
}

// auditNow puts back what Redis holds for us and we do not know of: the reply
// that named it was lost.
func (f *fetcher) auditNow(ctx context.Context) {
	known := append(f.pool.held(), f.putBack...) // first: a job goes from the pool to the settler
	known = append(known, f.settler.unsettled()...)
	lost, err := f.owner.Audit(ctx, f.names, known)
	if err != nil {
		f.failed(err)
		return
	}
	f.audit, f.auditAt = false, time.Now().Add(jittered(auditEvery))
	if len(lost) > 0 {
		f.log.Warn("found jobs whose delivery was lost on the way: they go back to their queues", "jobs", len(lost))
	}
	slices.SortFunc(lost, queue.NewestFirst) // each goes to the head: the oldest is put back last
	f.putBack = append(f.putBack, lost...)
	f.asleep = false
}

// finish ends what is under way, and reports whether it could. A Redis that hangs
// must not keep the process from stopping in time.
func (f *fetcher) finish(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	for f.out > 0 || f.anyUp() {
		if ctx.Err() != nil {
			f.flushPutBack()
			return false
		}
		f.unhang(ctx, func(*bell) bool { return true })
		timer := time.NewTimer(5 * time.Millisecond)
		select {
		case t := <-f.results:
			f.arrived(t)
		case b := <-f.rings:
			f.rang(b)
		case <-timer.C:
		}
		timer.Stop()
	}
	f.flushPutBack()
	for _, b := range f.bells {
		b.close()
	}
	return true
}
