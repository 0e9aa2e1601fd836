package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
	"golang.org/x/sync/errgroup"
)

const (
	// twoLanes is how many threads a capsule has at least to have two trips under way: while
	// one is at Redis, the jobs that another brought run.
	twoLanes = 32
	// gatherFor is how long the fetcher waits for one more thread to come free before it goes.
	// A round trip takes several times as long.
	gatherFor = 10 * time.Microsecond
	// fullFor is how long all threads are busy before doorbells are taken down: shorter, and
	// short jobs would have them hung and taken down for nothing.
	fullFor = 20 * time.Millisecond
	// finishWithin is how long a stop waits for Redis to answer what is under way.
	finishWithin = time.Second
	// turnEvery is how often a loop turns over when nothing happens, to show that it lives: at
	// most half of the shortest WatchdogSec that is supported, 1 s.
	turnEvery = time.Second / 2
	// drawsTimesQueues bounds the work of one weighted fetch in Redis.
	drawsTimesQueues = 20_000
)

// fetchPage bounds a trip.
var fetchPage = protocol.Page{Count: queue.MaxFetch, Bytes: queue.FetchBytes}

// fetcher makes the trips of a capsule that the ledger decides. One goroutine, Run, owns its
// fields, but for the atomic ones; lanes talk to it through channels.
type fetcher struct {
	capsule  *Capsule
	names    []string
	queues   []int // their indexes in the ledger
	weighted bool  // or random: the order of queues is drawn for each job
	pool     *pool
	ledger   *ledger
	bells    *doorbells
	outage   *outage
	log      *slog.Logger
	observer Observer

	trips   chan flight // to the lanes
	results chan flight // from the lanes
	page    protocol.Page
	pop     int       // jobs that a trip looks at at first: few after it met large ones
	fullAt  time.Time // since when no seat is free
	wait    backoff
	notTill time.Time // of the backoff

	turned  atomic.Int64 // when the loop last turned over, in Unix milliseconds
	fetched atomic.Bool  // a fetch has worked
}

// flight is a trip on its way, and what it brought.
type flight struct {
	*protocol.Trip
	bytes int
	pop   int
	draws []string
	got   queue.Fetched
	err   error
	took  time.Duration
}

// lanes is how many trips of the capsule may be under way at once.
func (c *Capsule) lanes() int {
	if c.Concurrency < twoLanes {
		return 1
	}
	return 2
}

func newFetcher(c *Capsule, p *pool, b *doorbells, o *outage, log *slog.Logger,
	observer Observer) *fetcher {
	return &fetcher{capsule: c, names: c.names(), queues: indexes(p.ledger.queues, c.names()),
		weighted: c.Mode() != Strict, pool: p, ledger: p.ledger, bells: b, outage: o, log: log,
		observer: observer, page: fetchPage, pop: queue.FetchPop,
		trips: make(chan flight, c.lanes()), results: make(chan flight, c.lanes())}
}

// Run fetches until ctx ends. It returns when every trip has come back, and closes the pool.
// Only if Redis hangs are calls left behind, which end by their time-outs.
func (f *fetcher) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	// a call under way is not torn: what it brings would be lost to us
	calls := context.WithoutCancel(ctx)
	if n := f.capsule.lanes(); n > 1 {
		for range n {
			g.Go(func() error { f.lane(calls); return nil })
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		f.turned.Store(time.Now().UnixMilli())
		for ctx.Err() == nil && f.act(calls) {
		}
		timer.Reset(f.patience())
		select {
		case <-f.pool.freed:
		case t := <-f.results:
			f.arrived(t)
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	whole := f.finish()
	close(f.trips)
	f.pool.close()
	if !whole {
		f.log.Warn("Redis does not answer: a reclaimer takes what it may still bring")
		return nil
	}
	return g.Wait()
}

// lane carries trips out until there are no more.
func (f *fetcher) lane(ctx context.Context) {
	for t := range f.trips {
		f.results <- f.travel(ctx, t)
	}
}

// patience is how long to wait for an event before looking again anyway.
func (f *fetcher) patience() time.Duration {
	switch left := time.Until(f.notTill); {
	case left > 0:
		return left
	case !f.fullAt.IsZero() && time.Since(f.fullAt) < fullFor:
		return fullFor
	case f.bells.polling():
		return pollEvery
	default:
		return turnEvery
	}
}

// act makes a trip, if one is due, and reports whether another may be.
func (f *fetcher) act(ctx context.Context) (again bool) {
	if due := f.look(); !due || time.Now().Before(f.notTill) {
		return false
	}
	f.gather()
	t, ok := f.depart()
	if !ok {
		return false
	}
	failpoint.Hit("before_fetch")
	if f.capsule.lanes() > 1 {
		f.trips <- t
		return true
	}
	return f.arrived(f.travel(ctx, t)) // it goes itself, which saves handing the trip over and back
}

// look asks the ledger whether a trip is due. It tells it when all seats have been taken for
// a while, and when that ends.
func (f *fetcher) look() (due bool) {
	l, ci := f.ledger, f.pool.index
	l.mu.Lock()
	free := l.process.Free(ci)
	switch {
	case free > 0:
		f.fullAt = time.Time{}
	case f.fullAt.IsZero():
		f.fullAt = time.Now()
	}
	news := l.process.Full(ci, free == 0 && time.Since(f.fullAt) >= fullFor)
	if f.bells.polling() {
		l.process.Wake(ci)
	}
	due = l.process.Due(ci, f.limit())
	l.mu.Unlock()
	if news {
		ring(l.bell)
	}
	return due
}

// limit bounds the jobs of the next trip.
func (f *fetcher) limit() int {
	limit := min(f.page.Count, queue.MaxFetch)
	if f.weighted {
		limit = min(limit, max(1, drawsTimesQueues/len(f.names)))
	}
	return limit
}

// gather lets jobs that end in this moment end: a trip costs the same for one job as for
// fifteen. Long jobs do not hold it up.
func (f *fetcher) gather() {
	ended, progress := f.pool.ended.Load(), time.Now()
	for busy := f.pool.busy(); busy > 0 && time.Since(progress) < gatherFor; {
		runtime.Gosched()
		if now := f.pool.ended.Load(); now != ended {
			busy -= int(now - ended)
			ended, progress = now, time.Now()
		}
	}
}

// depart asks the ledger for a trip.
func (f *fetcher) depart() (flight, bool) {
	l := f.ledger
	l.mu.Lock()
	t, ok := l.process.Depart(f.pool.index, l.owners.holds(time.Now()), f.limit())
	if ok && len(t.Acks) > 0 {
		f.pool.rides++
	}
	l.mu.Unlock()
	if !ok {
		return flight{}, false
	}
	return flight{Trip: t, bytes: f.page.Bytes, pop: f.pop, draws: f.capsule.draws(t.Want)}, true
}

// travel carries a trip out.
func (f *fetcher) travel(ctx context.Context, t flight) flight {
	r := queue.FetchRequest{Queues: f.names, Want: t.Want, First: t.First, Draws: t.draws,
		Bytes: t.bytes, Pop: t.pop}
	r.Done = make([]*queue.Delivery, len(t.Acks))
	for i, e := range t.Acks {
		r.Done[i] = &e.Delivery
	}
	for _, q := range t.Adopt {
		r.Adopt = append(r.Adopt, slices.Index(f.names, f.ledger.queues[q]))
	}
	began := time.Now()
	t.got, t.err = t.Owner.Fetch(ctx, r)
	failpoint.Hit("fetch_reply")
	t.took = time.Since(began)
	return t
}

// arrived hands out what a trip brought, and reports whether another is due at once. A thread
// is woken last: until this loop waits, it would only be moved to another core.
func (f *fetcher) arrived(t flight) (again bool) {
	l, p := f.ledger, f.pool
	got := protocol.Brought{Jobs: t.got.Jobs, Acked: t.got.Acked, More: t.got.More, Err: t.err}
	l.mu.Lock()
	stale := l.process.Returned(t.Trip, got)
	urgent, asleep, audit := l.process.Urgent(p.index), l.process.Asleep(p.index), l.process.Audit()
	for _, i := range t.got.Refused {
		l.process.Shun(f.queues[i], true)
	}
	for _, i := range t.got.Paused { // the next beat says when it is open again
		l.process.Pause(f.queues[i])
	}
	again = l.process.Due(p.index, f.limit())
	l.mu.Unlock()
	l.count(stale)
	if urgent {
		ring(p.settle)
	}
	if asleep {
		ring(l.bell)
	}
	if audit {
		ring(l.audit)
	}
	f.tell(t)
	f.judge(t)
	l.rouse(p.index)
	return again
}

// judge notes how a trip went.
func (f *fetcher) judge(t flight) {
	switch {
	case errors.Is(t.err, queue.ErrLeaseLost):
		f.ledger.owners.lost(t.Owner)
		f.rest()
	case t.err != nil:
		f.page = f.page.Halved()
		f.outage.failed("fetch", t.err)
		f.rest()
	default:
		f.page = f.page.Doubled(fetchPage)
		if f.pop = min(2*f.pop, queue.FetchPop); t.got.More {
			f.pop = 1
		}
		f.fetched.Store(true)
		f.outage.worked("fetch")
		f.wait.reset()
	}
}

// tell reports what a trip found beside jobs.
func (f *fetcher) tell(t flight) {
	if f.observer != nil {
		f.observer.Fetched(t.took, len(t.got.Jobs), t.err)
	}
	if t.got.Buried > 0 {
		f.log.Error("payloads too large to be read went to the dead set unchanged",
			"jobs", t.got.Buried)
	}
	if t.got.BadKey != "" {
		var held []string
		for _, i := range t.got.Refused {
			held = append(held, f.names[i])
		}
		f.bells.shun(held, t.got.BadKey)
	}
}

func (f *fetcher) rest() { f.notTill = time.Now().Add(f.wait.next()) }

// finish waits for the trips under way, and reports whether they came back. A Redis that
// hangs must not keep the process from stopping in time.
func (f *fetcher) finish() bool {
	limit := time.NewTimer(finishWithin)
	defer limit.Stop()
	for f.underway() {
		select {
		case t := <-f.results:
			f.arrived(t)
		case <-limit.C:
			return false
		}
	}
	return true
}

func (f *fetcher) underway() bool {
	f.ledger.mu.Lock()
	defer f.ledger.mu.Unlock()
	return f.ledger.process.Underway(f.pool.index)
}

// join names queues in a log line.
func join(names []string) string { return strings.Join(names, ",") }
