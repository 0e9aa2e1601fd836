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
	// twoTrips is the number of threads from which on a capsule may have two round trips under way:
	// while one is at Redis, the jobs of the other run.
	twoTrips = 32
	// gatherFor is how long the fetcher waits for one more thread to come free before it makes a
	// round trip. A round trip takes several times as long.
	gatherFor = 10 * time.Microsecond
	// fullFor is how long all seats are taken before doorbells are taken down. With a shorter time,
	// short jobs would have doorbells hung and taken down all the time.
	fullFor = 20 * time.Millisecond
	// finishWithin is how long a stop waits for Redis to answer the calls under way.
	finishWithin = time.Second
	// turnEvery is how often a loop turns when nothing happens, to show that it does not hang: at
	// most half of the shortest WatchdogSec that is supported, 1 s.
	turnEvery = time.Second / 2
	// drawsTimesQueues bounds the work of one weighted fetch in Redis: draws times queues.
	drawsTimesQueues = 20_000
)

// fetchPage bounds what one round trip may bring.
var fetchPage = protocol.Page{Count: queue.MaxFetch, Bytes: queue.FetchBytes}

// fetcher makes the round trips that the ledger decides for a capsule. Its loop is the goroutine of
// Run. Capsules with many threads have senders besides, which make the round trips.
type fetcher struct {
	// newFetcher writes these; afterwards they do not change.
	capsule  *Capsule
	names    []string // of its queues
	queues   []int    // their indexes in the ledger
	pool     *pool
	ledger   *ledger
	bells    *doorbells
	outage   *outage
	log      *slog.Logger
	observer Observer

	trips   chan *protocol.Trip // from the loop to the senders
	results chan *protocol.Trip // from the senders to the loop

	// Only the loop reads and writes these.
	pace   pace
	fullAt time.Time // since when no seat is free; zero: one is free
	opens  time.Time // when a source may have a job that it has not now; zero: not known

	// The loop writes these; Status and the watchdog read them.
	turned  atomic.Int64 // when the loop last turned, in Unix milliseconds
	fetched atomic.Bool  // a fetch has succeeded
}

// pace bounds the round trips: how much one carries, and how long to wait after a failed one.
type pace struct {
	page    protocol.Page
	pop     int // jobs that a round trip takes out of a list at first: few after large jobs
	wait    backoff
	notTill time.Time // the end of the wait after a failure
}

// trips returns how many round trips of the capsule may be under way at once.
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

// Run fetches until ctx ends. It closes the pool, and returns when every round trip has ended. If
// Redis hangs, it leaves calls behind, which end by their timeouts.
func (f *fetcher) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	// A call under way is not interrupted, because the jobs of its reply would be lost.
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
	ended := f.finish()
	close(f.trips)
	f.pool.close()
	if !ended {
		f.log.Warn("Redis does not answer: a reclaimer takes the jobs that late replies may bring")
		return nil
	}
	return g.Wait()
}

// send makes round trips until the loop has closed the channel.
func (f *fetcher) send(ctx context.Context) {
	for t := range f.trips {
		makeTrip(ctx, t)
		f.results <- t
	}
}

// patience returns how long the loop waits for an event before it looks again.
func (f *fetcher) patience() time.Duration {
	wait := f.untilTurn()
	if !f.opens.IsZero() && !time.Now().Before(f.pace.notTill) {
		wait = min(wait, max(time.Until(f.opens), 0))
	}
	return wait
}

// untilTurn is patience without regard to sources.
func (f *fetcher) untilTurn() time.Duration {
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

// act makes a round trip, if one is due, and reports whether another one may be due.
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
	makeTrip(ctx, t) // in this goroutine, which saves two changes of goroutine
	return f.receive(t)
}

// look asks the ledger whether a round trip is due. It also tells the ledger when all seats have
// been taken for fullFor, and when one is free again.
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
	opened := !f.opens.IsZero() && !time.Now().Before(f.opens)
	if opened {
		f.opens = time.Time{}
	}
	if opened || f.bells.polling() {
		l.process.Wake(ci)
	}
	due = l.process.Due(ci, f.limit())
	l.mu.Unlock()
	if news {
		notify(l.bells)
	}
	return due
}

// limit returns the most jobs that the next round trip may bring.
func (f *fetcher) limit() int {
	limit := min(f.pace.page.Count, queue.MaxFetch)
	if f.capsule.Mode() != Strict {
		limit = min(limit, max(1, drawsTimesQueues/len(f.names)))
	}
	return limit
}

// gather waits for jobs that end in this moment, because a round trip costs the same for one job as
// for fifteen. It does not wait for long jobs.
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

// begin asks the ledger for a round trip, and fills in its request. It returns nil if none is due.
func (f *fetcher) begin() *protocol.Trip {
	l := f.ledger
	l.mu.Lock()
	t, ok := l.process.Begin(f.pool.index, l.owners.valid(time.Now()), f.limit())
	if ok && len(t.Acks) > 0 {
		f.pool.carried++
	}
	l.mu.Unlock()
	if !ok {
		return nil
	}
	r := &t.Request
	*r = queue.FetchRequest{Queues: f.names, Want: t.Want, First: t.First,
		Draws: f.capsule.draws(t.Want), Bytes: f.pace.page.Bytes, Pop: f.pace.pop,
		Sources: t.Sources}
	r.Done = make([]*queue.Delivery, len(t.Acks))
	for i, e := range t.Acks {
		r.Done[i] = &e.Delivery
	}
	for _, q := range t.Adopt {
		r.Adopt = append(r.Adopt, slices.Index(f.names, l.queues[q]))
	}
	for _, turn := range t.Turns {
		r.Turns = append(r.Turns, queue.Turn{Queue: slices.Index(f.names, l.queues[turn.Queue]),
			Most: turn.Most})
	}
	return t
}

// makeTrip makes a round trip, and puts its reply into t.
func makeTrip(ctx context.Context, t *protocol.Trip) {
	began := time.Now()
	t.Got, t.Err = t.Owner.Fetch(ctx, t.Request)
	failpoint.Hit("fetch_reply")
	t.Took = time.Since(began)
}

// receive hands the jobs of a reply to the ledger, and reports whether another round trip is due at
// once. It wakes a thread last: while this goroutine still runs, the thread would start on another
// core.
func (f *fetcher) receive(t *protocol.Trip) (again bool) {
	l, p := f.ledger, f.pool
	l.mu.Lock()
	stale := l.process.Returned(t, t.Got, t.Err)
	if t.Err == nil || errors.Is(t.Err, queue.ErrLeaseLost) { // else they are settled again
		l.left.acked(t.Acks, stale)
	}
	urgent, asleep, audit := l.process.Urgent(p.index), l.process.Asleep(p.index), l.process.Audit()
	for _, i := range t.Got.Refused {
		l.process.Shun(f.queues[i], true)
	}
	for _, i := range t.Got.Paused { // a beat will say when they are open again
		l.process.Pause(f.queues[i])
	}
	again = l.process.Due(p.index, f.limit())
	unseen := len(t.Got.Unseen) > 0
	l.mu.Unlock()
	if unseen {
		notify(l.sift)
	}
	f.reopen(t)
	l.count(stale)
	if urgent {
		notify(p.settle)
	}
	if asleep {
		notify(l.bells)
	}
	if audit {
		notify(l.audit)
	}
	f.tell(t)
	f.judge(t)
	l.wakeOne(p.index)
	return again
}

// reopen notes when a source may have a job that the round trip did not find.
func (f *fetcher) reopen(t *protocol.Trip) {
	if t.Err != nil || t.Want == 0 {
		return // it does not say
	}
	if f.opens = (time.Time{}); len(t.Sources) > 0 && t.Got.Opens >= 0 {
		f.opens = time.Now().Add(t.Got.Opens)
	}
}

// judge sets the pace of the next round trip after the outcome of t.
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

// tell reports the round trip to the observer, and what it found besides jobs to the log.
func (f *fetcher) tell(t *protocol.Trip) {
	if f.observer != nil {
		f.observer.Fetched(t.Took, len(t.Got.Jobs), t.Err)
	}
	if t.Got.Oversized > 0 {
		f.log.Error("payloads too large to be read went to the dead set unchanged",
			"jobs", t.Got.Oversized)
	}
	if t.Got.BadKey != "" {
		var refused []string
		for _, i := range t.Got.Refused {
			refused = append(refused, f.names[i])
		}
		f.bells.shun(refused, t.Got.BadKey)
	}
}

// rest has the loop wait before its next round trip.
func (f *fetcher) rest() { f.pace.notTill = time.Now().Add(f.pace.wait.next()) }

// finish waits for the round trips under way, and reports whether all have ended. It waits no
// longer than finishWithin, so that a Redis that hangs does not delay the stop of the process.
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

// underway reports whether round trips of the capsule are under way.
func (f *fetcher) underway() bool {
	f.ledger.mu.Lock()
	defer f.ledger.mu.Unlock()
	return f.ledger.process.Underway(f.pool.index)
}

// join returns names of queues as an attribute of a log line.
func join(names []string) string { return strings.Join(names, ",") }
