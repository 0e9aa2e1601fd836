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
	// twoTrips is how many threads a capsule has at least to have two round trips under way: while
	// one is at Redis, the jobs of the other run.
	twoTrips = 32
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

// fetcher makes the round trips of a capsule that the ledger decides. One goroutine, Run, reads and
// writes its fields, except the last two, which others read; senders talk to it through channels.
type fetcher struct {
	capsule  *Capsule
	names    []string // of its queues
	queues   []int    // their indexes in the ledger
	pool     *pool
	ledger   *ledger
	bells    *doorbells
	outage   *outage
	log      *slog.Logger
	observer Observer

	trips   chan *protocol.Trip // to the senders
	results chan *protocol.Trip // from the senders
	pace    pace
	fullAt  time.Time // since when no seat is free

	turned  atomic.Int64 // when the loop last turned over, in Unix milliseconds
	fetched atomic.Bool  // a fetch has worked
}

// pace bounds the round trips: how much one carries, and how long to wait after one that failed.
type pace struct {
	page    protocol.Page
	pop     int // jobs that a round trip looks at at first: few after it met large ones
	wait    backoff
	notTill time.Time // the end of that wait
}

// trips is how many round trips of the capsule may be under way at once.
func (c *Capsule) trips() int {
	if c.Concurrency < twoTrips {
		return 1
	}
	return 2
}

func newFetcher(c *Capsule, p *pool, b *doorbells, o *outage, log *slog.Logger,
	observer Observer) *fetcher {
	return &fetcher{capsule: c, names: c.names(), queues: indexes(p.ledger.queues, c.names()),
		pool: p, ledger: p.ledger, bells: b, outage: o, log: log, observer: observer,
		pace:  pace{page: fetchPage, pop: queue.FetchPop},
		trips: make(chan *protocol.Trip, c.trips()), results: make(chan *protocol.Trip, c.trips())}
}

// Run fetches until ctx ends. It returns when every round trip has ended, and closes the pool.
// Only if Redis hangs are calls left behind, which end by their time-outs.
func (f *fetcher) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	// a call under way is not torn: what it brings would be lost to us
	calls := context.WithoutCancel(ctx)
	if n := f.capsule.trips(); n > 1 {
		for range n {
			g.Go(func() error { f.send(calls); return nil })
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
			f.receive(t)
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

// send makes round trips until there are no more.
func (f *fetcher) send(ctx context.Context) {
	for t := range f.trips {
		makeTrip(ctx, t)
		f.results <- t
	}
}

// patience is how long to wait for an event before looking again anyway.
func (f *fetcher) patience() time.Duration {
	switch left := time.Until(f.pace.notTill); {
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

// act makes a round trip, if one is due, and reports whether another may be.
func (f *fetcher) act(ctx context.Context) (again bool) {
	if due := f.look(); !due || time.Now().Before(f.pace.notTill) {
		return false
	}
	f.gather()
	t := f.begin()
	if t == nil {
		return false
	}
	failpoint.Hit("before_fetch")
	if f.capsule.trips() > 1 {
		f.trips <- t
		return true
	}
	makeTrip(ctx, t) // in this goroutine: that saves handing it over and back
	return f.receive(t)
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
	limit := min(f.pace.page.Count, queue.MaxFetch)
	if f.capsule.Mode() != Strict {
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

// begin asks the ledger for a round trip; nil: none is due.
func (f *fetcher) begin() *protocol.Trip {
	l := f.ledger
	l.mu.Lock()
	t, ok := l.process.Begin(f.pool.index, l.owners.holds(time.Now()), f.limit())
	if ok && len(t.Acks) > 0 {
		f.pool.rides++
	}
	l.mu.Unlock()
	if !ok {
		return nil
	}
	r := &t.Request
	*r = queue.FetchRequest{Queues: f.names, Want: t.Want, First: t.First,
		Draws: f.capsule.draws(t.Want), Bytes: f.pace.page.Bytes, Pop: f.pace.pop}
	r.Done = make([]*queue.Delivery, len(t.Acks))
	for i, e := range t.Acks {
		r.Done[i] = &e.Delivery
	}
	for _, q := range t.Adopt {
		r.Adopt = append(r.Adopt, slices.Index(f.names, l.queues[q]))
	}
	return t
}

// makeTrip makes the round trip, and notes its reply in t.
func makeTrip(ctx context.Context, t *protocol.Trip) {
	began := time.Now()
	t.Got, t.Err = t.Owner.Fetch(ctx, t.Request)
	failpoint.Hit("fetch_reply")
	t.Took = time.Since(began)
}

// receive hands out the jobs of a reply, and reports whether another round trip is due at once. A
// thread is woken last: until this loop waits, it would only be moved to another core.
func (f *fetcher) receive(t *protocol.Trip) (again bool) {
	l, p := f.ledger, f.pool
	l.mu.Lock()
	stale := l.process.Returned(t, t.Got, t.Err)
	urgent, asleep, audit := l.process.Urgent(p.index), l.process.Asleep(p.index), l.process.Audit()
	for _, i := range t.Got.Refused {
		l.process.Shun(f.queues[i], true)
	}
	for _, i := range t.Got.Paused { // the next beat says when it is open again
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

// judge notes how a round trip went, and sets the pace of the next.
func (f *fetcher) judge(t *protocol.Trip) {
	switch {
	case errors.Is(t.Err, queue.ErrLeaseLost):
		f.ledger.owners.lost(t.Owner)
		f.rest()
	case t.Err != nil:
		f.pace.page = f.pace.page.Halved()
		f.outage.failed("fetch", t.Err)
		f.rest()
	default:
		f.pace.page = f.pace.page.Doubled(fetchPage)
		if f.pace.pop = min(2*f.pace.pop, queue.FetchPop); t.Got.More {
			f.pace.pop = 1
		}
		f.fetched.Store(true)
		f.outage.worked("fetch")
		f.pace.wait.reset()
	}
}

// tell reports what a round trip found beside jobs.
func (f *fetcher) tell(t *protocol.Trip) {
	if f.observer != nil {
		f.observer.Fetched(t.Took, len(t.Got.Jobs), t.Err)
	}
	if t.Got.Oversized > 0 {
		f.log.Error("payloads too large to be read went to the dead set unchanged",
			"jobs", t.Got.Oversized)
	}
	if t.Got.BadKey != "" {
		var held []string
		for _, i := range t.Got.Refused {
			held = append(held, f.names[i])
		}
		f.bells.shun(held, t.Got.BadKey)
	}
}

func (f *fetcher) rest() { f.pace.notTill = time.Now().Add(f.pace.wait.next()) }

// finish waits for the round trips under way, and reports whether they came back. A Redis that
// hangs must not keep the process from stopping in time.
func (f *fetcher) finish() bool {
	limit := time.NewTimer(finishWithin)
	defer limit.Stop()
	for f.underway() {
		select {
		case t := <-f.results:
			f.receive(t)
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
