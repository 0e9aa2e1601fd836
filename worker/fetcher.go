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

// fetcher makes the round trips that the ledgers decide for a capsule. Its loop is the goroutine of
// Run. Capsules with many threads, and those of several shards, have senders besides, which make
// the round trips.
type fetcher struct {
	// newFetcher writes these; afterwards they do not change.
	capsule  *Capsule
	names    []string // of its queues
	queues   []int    // their indexes in the ledgers
	pool     *pool
	shards   []*origin // at least one
	log      *slog.Logger
	observer Observer

	results chan errand // from the senders to the loop

	// Only the loop reads and writes these.
	looks  *protocol.Looks // nil: there is one shard
	wait   time.Duration   // how long Looks lets the loop wait for an event; 0: any time
	fullAt time.Time       // since when no seat is free; zero: one is free

	turned atomic.Int64 // when the loop last turned, in Unix milliseconds; the watchdog reads it
}

// origin is a shard from which a fetcher takes jobs.
type origin struct {
	// newFetcher writes these; afterwards they do not change.
	*shard
	index   int         // among the shards
	errands chan errand // from the loop to the senders

	// Only the loop reads and writes these.
	pace  pace
	opens time.Time // when a source of lanes may have a job that it has not now; zero: not known

	fetched atomic.Bool // a fetch has succeeded; the loop sets it, Status reads it
}

// errand is a round trip to a shard: one that takes jobs, or a look.
type errand struct {
	to      *origin
	trip    *protocol.Trip // nil: it only looks
	sources []int          // queues of the capsule, by place, whose jobs lanes keep
	sent    time.Time
	lengths []int // by queue of the capsule; nil: not known
	err     error // of a look
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

func newFetcher(c *Capsule, p *pool, shards []*shard, log *slog.Logger, ob Observer) *fetcher {
	n := len(shards) * (c.trips() + 1)
	f := &fetcher{capsule: c, names: c.names(), queues: indexes(shards[0].ledger.queues, c.names()),
		pool: p, log: log, observer: ob, results: make(chan errand, n)}
	for i, s := range shards {
		f.shards = append(f.shards, &origin{shard: s, index: i, errands: make(chan errand, n),
			pace: pace{page: fetchPage, pop: queue.FetchPop}})
	}
	if len(shards) > 1 {
		f.looks = protocol.NewLooks(len(shards), len(f.names), c.Mode() == Strict)
	}
	return f
}

// senders returns how many goroutines make the round trips to a shard. With none the loop makes
// them itself, which saves two changes of goroutine. With several shards there is one more than
// trips, so that a shard that hangs can be asked again.
func (f *fetcher) senders() int {
	switch n := f.capsule.trips(); {
	case f.looks != nil:
		return n + 1
	case n > 1:
		return n
	}
	return 0
}

// hasFetched reports whether a fetch has succeeded, from any shard.
func (f *fetcher) hasFetched() bool {
	for _, s := range f.shards {
		if s.fetched.Load() {
			return true
		}
	}
	return false
}

// Run fetches until ctx ends. It closes the pool, and returns when every round trip has ended. If
// Redis hangs, it leaves calls behind, which end by their timeouts.
func (f *fetcher) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	// A call under way is not interrupted, because the jobs of its reply would be lost.
	calls := context.WithoutCancel(ctx)
	for _, s := range f.shards {
		for range f.senders() {
			g.Go(func() error { f.send(calls, s); return nil })
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
		case e := <-f.results:
			f.receive(e)
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	ended := f.finish()
	for _, s := range f.shards {
		close(s.errands)
	}
	f.pool.close()
	if !ended {
		f.log.Warn("Redis does not answer: a reclaimer takes the jobs that late replies may bring")
		return nil
	}
	return g.Wait()
}

// send makes round trips to a shard until the loop has closed the channel.
func (f *fetcher) send(ctx context.Context, s *origin) {
	for e := range s.errands {
		f.run(ctx, &e)
		f.results <- e
	}
}

// run makes a round trip, and puts its reply into e.
func (f *fetcher) run(ctx context.Context, e *errand) {
	switch {
	case e.trip == nil:
		look, cancel := context.WithTimeout(ctx, protocol.Silent)
		e.lengths, e.err = e.to.store.Look(look, f.names, e.sources)
		cancel()
	case f.looks == nil:
		makeTrip(ctx, e.trip)
	default:
		e.lengths = makeTripAndLook(ctx, e.trip, e.sources)
	}
}

// patience returns how long the loop waits for an event before it looks again.
func (f *fetcher) patience() time.Duration {
	wait := turnEvery
	for _, s := range f.shards {
		wait = min(wait, f.untilTurn(s))
		if !s.opens.IsZero() && !time.Now().Before(s.pace.notTill) {
			wait = min(wait, max(time.Until(s.opens), 0))
		}
	}
	if f.looks != nil {
		if late := f.looks.Late(time.Now()); late > 0 {
			wait = min(wait, late)
		}
		if f.wait > 0 {
			wait = min(wait, f.wait)
		}
	}
	return wait
}

// untilTurn is patience for one shard, without regard to lanes.
func (f *fetcher) untilTurn(s *origin) time.Duration {
	switch left := time.Until(s.pace.notTill); {
	case left > 0:
		return left
	case !f.fullAt.IsZero() && time.Since(f.fullAt) < fullFor:
		return fullFor
	case s.bells.polling():
		return pollEvery
	default:
		return turnEvery
	}
}

// act makes a round trip, if one is due, and reports whether another one may be due.
func (f *fetcher) act(ctx context.Context) (again bool) {
	if f.looks != nil {
		return f.choose()
	}
	s := f.shards[0]
	if due := f.look(s); !due || time.Now().Before(s.pace.notTill) {
		return false
	}
	f.gather()
	t := f.begin(s, len(f.names))
	if t == nil {
		return false
	}
	failpoint.Hit("before_fetch")
	e := errand{to: s, trip: t}
	if f.senders() > 0 {
		s.errands <- e
		return true
	}
	f.run(ctx, &e) // in this goroutine, which saves two changes of goroutine
	return f.receive(e)
}

// look asks the ledger of a shard whether a round trip is due. It also tells the ledger when all
// seats have been taken for fullFor, and when one is free again.
func (f *fetcher) look(s *origin) (due bool) {
	l, ci := s.ledger, f.pool.index
	l.mu.Lock()
	free := l.process.Free(ci)
	switch {
	case free > 0:
		f.fullAt = time.Time{}
	case f.fullAt.IsZero():
		f.fullAt = time.Now()
	}
	news := l.process.Full(ci, free == 0 && time.Since(f.fullAt) >= fullFor)
	opened := !s.opens.IsZero() && !time.Now().Before(s.opens)
	if opened {
		s.opens = time.Time{}
	}
	if opened || s.bells.polling() {
		l.process.Wake(ci)
	}
	due = l.process.Due(ci, f.limit(s))
	l.mu.Unlock()
	if news {
		notify(l.bells)
	}
	return due
}

// limit returns the most jobs that the next round trip to a shard may bring.
func (f *fetcher) limit(s *origin) int {
	limit := min(s.pace.page.Count, queue.MaxFetch)
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

// begin asks the ledger of a shard for a round trip that takes jobs from the first queues of the
// capsule, and fills in its request. It returns nil if none is due.
func (f *fetcher) begin(s *origin, queues int) *protocol.Trip {
	l := s.ledger
	l.mu.Lock()
	t, ok := l.process.BeginTo(f.pool.index, l.owners.valid(time.Now()), f.limit(s), queues)
	if ok && len(t.Acks) > 0 {
		l.carried[f.pool.index]++
	}
	l.mu.Unlock()
	if !ok {
		return nil
	}
	r := &t.Request
	*r = queue.FetchRequest{Queues: f.names, Want: t.Want, First: t.First,
		Draws: f.capsule.draws(t.Want), Bytes: s.pace.page.Bytes, Pop: s.pace.pop,
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

// makeTripAndLook makes a round trip that also reads how long the queues are after it. The lengths
// are nil if they are not known.
func makeTripAndLook(ctx context.Context, t *protocol.Trip, sources []int) (lengths []int) {
	began := time.Now()
	t.Got, lengths, t.Err = t.Owner.FetchAndLook(ctx, t.Request, sources)
	failpoint.Hit("fetch_reply")
	t.Took = time.Since(began)
	return lengths
}

// receive takes the reply of a round trip, and reports whether another one is due at once.
func (f *fetcher) receive(e errand) (again bool) {
	if f.looks != nil {
		f.learn(e)
	}
	if e.trip == nil {
		return true
	}
	return f.deliver(e.to, e.trip)
}

// deliver hands the jobs of a reply to the ledger, and reports whether another round trip is due at
// once. It wakes a thread last: while this goroutine still runs, the thread would start on another
// core.
func (f *fetcher) deliver(s *origin, t *protocol.Trip) (again bool) {
	l, p := s.ledger, f.pool
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
	again = l.process.Due(p.index, f.limit(s))
	unseen := len(t.Got.Unseen) > 0
	l.mu.Unlock()
	if unseen {
		notify(l.sift)
	}
	s.reopen(t)
	l.count(stale)
	if urgent {
		notify(l.settle[p.index])
	}
	if asleep {
		notify(l.bells)
	}
	if audit {
		notify(l.audit)
	}
	f.tell(s, t)
	s.judge(t)
	l.wakeOne(p.index)
	return again
}

// reopen notes when lanes may have a job that the round trip did not find.
func (s *origin) reopen(t *protocol.Trip) {
	if t.Err != nil || t.Want == 0 {
		return // it does not say
	}
	if s.opens = (time.Time{}); len(t.Sources) > 0 && t.Got.Opens >= 0 {
		s.opens = time.Now().Add(t.Got.Opens)
	}
}

// judge sets the pace of the next round trip after the outcome of t.
func (s *origin) judge(t *protocol.Trip) {
	switch {
	case errors.Is(t.Err, queue.ErrLeaseLost):
		s.owners.lost(t.Owner)
		s.rest()
	case t.Err != nil:
		s.pace.page = s.pace.page.Halved()
		s.outage.failed("fetch", t.Err)
		s.rest()
	default:
		s.pace.page = s.pace.page.Doubled(fetchPage)
		if s.pace.pop = min(2*s.pace.pop, queue.FetchPop); t.Got.More {
			s.pace.pop = 1
		}
		s.fetched.Store(true)
		s.outage.worked("fetch")
		s.pace.wait.reset()
	}
}

// tell reports the round trip to the observer, and what it found besides jobs to the log.
func (f *fetcher) tell(s *origin, t *protocol.Trip) {
	if f.observer != nil {
		f.observer.Fetched(t.Took, len(t.Got.Jobs), t.Err)
	}
	if t.Got.Oversized > 0 {
		s.log.Error("payloads too large to be read went to the dead set unchanged",
			"jobs", t.Got.Oversized)
	}
	if t.Got.BadKey != "" {
		var refused []string
		for _, i := range t.Got.Refused {
			refused = append(refused, f.names[i])
		}
		s.bells.shun(refused, t.Got.BadKey)
	}
}

// rest has the loop wait before its next round trip to the shard.
func (s *origin) rest() { s.pace.notTill = time.Now().Add(s.pace.wait.next()) }

// finish waits for the round trips under way, and reports whether all have ended. It waits no
// longer than finishWithin, so that a Redis that hangs does not delay the stop of the process.
func (f *fetcher) finish() bool {
	limit := time.NewTimer(finishWithin)
	defer limit.Stop()
	for f.underway() {
		select {
		case e := <-f.results:
			f.receive(e)
		case <-limit.C:
			return false
		}
	}
	return true
}

// underway reports whether round trips of the capsule are under way.
func (f *fetcher) underway() bool {
	mu := f.pool.mu()
	mu.Lock()
	defer mu.Unlock()
	for _, s := range f.shards {
		if s.ledger.process.Underway(f.pool.index) {
			return true
		}
	}
	return false
}

// join returns names of queues as an attribute of a log line.
func join(names []string) string { return strings.Join(names, ",") }
