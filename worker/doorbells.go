package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"golang.org/x/sync/errgroup"
)

const (
	// unhangWithin is how long one call may take that has Redis take bells down.
	unhangWithin = time.Second
	// unhangAgain is the time until the next such call for bells that are still up.
	unhangAgain = 20 * time.Millisecond
	// pollEvery is how often a sleeping fetcher looks for jobs while no bells can be hung.
	pollEvery = 100 * time.Millisecond
	// pollFor is how long after a refusal bells are tried again.
	pollFor = 5 * time.Second
	// shunFor is how long no bell is hung on a queue one of whose keys has a wrong type.
	shunFor = 5 * time.Second
)

// doorbells hangs bells on the queues of the process when the ledger wants them: at most one on
// each queue, whichever capsules serve it. Its loop is the goroutine of Run. Each bell has a
// goroutine besides, which waits in Redis, tells the ledger what the bell brought, and wakes a
// thread for it.
type doorbells struct {
	// New writes these; afterwards they do not change.
	ledger   *ledger
	outage   *outage
	log      *slog.Logger
	observer Observer    // nil: none
	serve    [][]string  // by capsule: the queues that it serves
	bells    []*doorbell // by queue of the ledger; behind these those of sources, by queue

	refused chan shunned // from fetchers and bells to the loop
	back    chan int     // from bells that came down to the loop: their indexes

	// Only the loop reads and writes these.
	retryAt []time.Time // by queue: when a shunned queue is tried again; zero: it is not shunned
	noted   []time.Time // by queue: when it was last logged that it is shunned

	// pollTo is the end of the time in which no bells are tried, in Unix milliseconds. 0: they are
	// tried. The goroutines of the bells write it; the loop and the fetchers read it.
	pollTo atomic.Int64
}

// doorbell is the bell of one queue and its goroutine.
type doorbell struct {
	index int         // among the bells; does not change
	hang  chan toHang // from the loop to the goroutine
	bell  *queue.Bell // only the loop uses it; nil before the first hang
	// out counts bells sent to hang that have not come back. It can be 2, because the ledger may
	// want the bell again before the loop hears that it came down. Only the loop uses it.
	out int
}

// toHang is a bell that is to be hung, and the round trip that it carries.
type toHang struct {
	bell *queue.Bell
	trip *protocol.Trip
}

// shunned is a key of a wrong type, and the queues whose jobs cannot be taken because of it.
type shunned struct {
	queues []string
	key    string
}

func newDoorbells(l *ledger, o *outage, log *slog.Logger, observer Observer) *doorbells {
	n := len(l.queues)
	d := &doorbells{ledger: l, outage: o, log: log, observer: observer,
		refused: make(chan shunned, 16), back: make(chan int, 4*n),
		retryAt: make([]time.Time, n), noted: make([]time.Time, n)}
	for i := range 2 * n {
		d.bells = append(d.bells, &doorbell{index: i, hang: make(chan toHang, 1)})
	}
	return d
}

// indexOf returns the index of the bell that carries a trip.
func (d *doorbells) indexOf(t *protocol.Trip) int {
	if t.Source {
		return len(d.ledger.queues) + t.Adopt[0]
	}
	return t.Adopt[0]
}

// name returns the queue of a bell.
func (d *doorbells) name(b *doorbell) string {
	return d.ledger.queues[b.index%len(d.ledger.queues)]
}

// Run hangs bells and takes them down until ctx ends. Then it takes all bells down, and puts landed
// jobs back to their queues. If Redis hangs, it leaves calls behind, which end by their timeouts.
func (d *doorbells) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	calls := context.WithoutCancel(ctx)
	for _, b := range d.bells {
		g.Go(func() error { d.answer(calls, b); return nil })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(d.turn(calls))
		select {
		case <-d.ledger.bells:
		case i := <-d.back:
			d.bells[i].out--
		case r := <-d.refused:
			d.note(r)
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	down := d.finish(calls)
	for _, b := range d.bells {
		close(b.hang)
	}
	if !down {
		d.log.Warn("Redis does not answer: a reclaimer takes the jobs that doorbells may bring")
		return nil
	}
	return g.Wait()
}

// turn hangs the bells and takes down the bells that the ledger names. It returns how long the loop
// may wait before it looks again.
func (d *doorbells) turn(ctx context.Context) time.Duration {
	d.forgive()
	l := d.ledger
	l.mu.Lock()
	hang, unhang := l.process.Bells(l.owners.valid(time.Now()) && !d.polling())
	l.mu.Unlock()
	for _, t := range hang {
		b := d.bells[d.indexOf(t)]
		b.rehang(t, d.name(b))
	}
	if len(unhang) == 0 {
		return turnEvery
	}
	d.unhang(ctx, unhang)
	return unhangAgain
}

// rehang has the goroutine hang a bell that is down.
func (b *doorbell) rehang(t *protocol.Trip, name string) {
	if b.bell == nil || b.bell.Owner() != t.Owner {
		b.close()
		b.bell = t.Owner.Bell(name)
		if t.Source {
			b.bell = t.Owner.ReadyBell(name)
		}
	}
	b.out++
	b.hang <- toHang{b.bell, t}
}

// close closes the connection of the bell, if it has one.
func (b *doorbell) close() {
	if b.bell != nil {
		b.bell.Close()
	}
}

// unhang asks Redis to end the waiting of bells, so that they come down. For a bell that stays up,
// the next turn asks again.
func (d *doorbells) unhang(ctx context.Context, list []int) {
	// A Redis that hangs must not delay the loop for longer.
	ctx, cancel := context.WithTimeout(ctx, unhangWithin)
	defer cancel()
	for _, i := range list {
		if b := d.bells[i]; b.out > 0 {
			b.bell.Unhang(ctx)
		}
	}
}

// answer is the goroutine of one bell: it hangs the bell whenever the loop says, waits in Redis,
// and tells the ledger how the bell came down. It wakes a thread for the job last, because the
// thread can run on this core as soon as this goroutine waits.
func (d *doorbells) answer(ctx context.Context, b *doorbell) {
	for e := range b.hang {
		rung, err := d.ring(ctx, e)
		d.down(e.trip, rung, d.failed(b, err))
		d.back <- b.index
		d.ledger.wakeOne(e.trip.Capsule)
	}
}

// ring hangs a bell and waits until it comes down.
func (d *doorbells) ring(ctx context.Context, e toHang) (queue.Rung, error) {
	if e.trip.Landing {
		return e.bell.Land(ctx)
	}
	return e.bell.Ring(ctx, e.trip.First, d.serve[e.trip.Capsule],
		d.ledger.sourced(e.trip.Capsule)...)
}

// failed takes the error with which a bell came down, or nil. It reports whether the reply is lost:
// then nobody knows whether the bell brought a job.
func (d *doorbells) failed(b *doorbell, err error) (lost bool) {
	name := d.name(b)
	switch {
	case err == nil:
		d.outage.worked("doorbell")
		d.pollTo.Store(0) // bells can be hung
	case errors.Is(err, queue.ErrFull):
		if d.poll() {
			d.log.Warn("Redis is over its maxmemory and refuses to hang doorbells: "+
				"fetchers look for jobs at intervals instead", "every", logSeconds(pollEvery))
		}
	case errors.Is(err, queue.ErrWrongType):
		d.shun([]string{name}, "queue:"+name)
	case redisdb.Answered(err):
		d.outage.failed("doorbell", err)
		d.poll()
	case errors.Is(err, redisdb.ErrLarge):
		return true
	default:
		d.outage.failed("doorbell", err)
		return true
	}
	return false
}

// down tells the ledger that a bell is down, and notifies the loops that have work now.
func (d *doorbells) down(t *protocol.Trip, r queue.Rung, lost bool) {
	l := d.ledger
	l.mu.Lock()
	wake := l.process.Down(t, protocol.Rung{Landed: r.Landed, Lost: lost, Job: r.Job})
	urgent := l.process.Urgent(t.Capsule)
	l.mu.Unlock()
	if wake >= 0 {
		notify(l.pools[wake].freed)
	}
	if urgent { // there is no seat for the job: it goes back
		notify(l.settle[t.Capsule])
	}
	if lost {
		notify(l.audit)
	}
	if r.Job != nil && d.observer != nil {
		d.observer.Fetched(0, 1, nil)
	}
	if o := l.owners; (r.Landed || lost) && t.Want > 0 && t.Owner != o.current() {
		// A job may have landed under an identity that is gone, and that reclaimers may have
		// forgotten. Its record is written once more, so that a reclaimer finds the job.
		t.Owner.Leave(context.Background(), o.host, o.queues)
	}
}

// poll has fetchers poll for pollFor instead of hanging bells, and reports whether bells were tried
// until now. A Redis over its maxmemory refuses bells, but not fetches, and so may the rules about
// its user.
func (d *doorbells) poll() (news bool) {
	return d.pollTo.Swap(time.Now().Add(jittered(pollFor)).UnixMilli()) == 0
}

// polling reports whether fetchers are to look for jobs without bells.
func (d *doorbells) polling() bool {
	till := d.pollTo.Load()
	return till != 0 && time.Now().UnixMilli() < till
}

// shun leaves queues without a bell for shunFor: a key has a wrong type, so their jobs cannot be
// taken, and a bell would ring for them again and again.
func (d *doorbells) shun(queues []string, key string) {
	select {
	case d.refused <- shunned{queues, key}:
	default: // the next fetch or bell finds the key again
	}
}

// note logs a key of a wrong type, once a minute for each queue, and tells the ledger.
func (d *doorbells) note(r shunned) {
	for _, i := range indexes(d.ledger.queues, r.queues) {
		if time.Since(d.noted[i]) > time.Minute {
			d.noted[i] = time.Now()
			d.log.Error("a key holds a wrong type: "+
				"the jobs of the queue wait until it is renamed or deleted",
				"key", r.key, "queue", d.ledger.queues[i], "retry", shunFor)
		}
		d.retryAt[i] = time.Now().Add(jittered(shunFor))
		d.ledger.mu.Lock()
		d.ledger.process.Shun(i, true)
		d.ledger.mu.Unlock()
	}
}

// forgive lets queues have a bell again that were shunned for shunFor.
func (d *doorbells) forgive() {
	for i, at := range d.retryAt {
		if at.IsZero() || time.Now().Before(at) {
			continue
		}
		d.retryAt[i] = time.Time{}
		d.ledger.mu.Lock()
		d.ledger.process.Shun(i, false)
		d.ledger.mu.Unlock()
	}
}

// finish takes all bells down and puts landed jobs back. It reports whether it could do both within
// finishWithin.
func (d *doorbells) finish(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for d.anyUp() {
		d.turn(ctx) // the process is quiet, so the ledger wants all bells down
		select {
		case i := <-d.back:
			d.bells[i].out--
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	for _, b := range d.bells {
		b.close()
	}
	return d.returnLanded(ctx) == nil
}

// anyUp reports whether a bell that was sent to hang has not come back.
func (d *doorbells) anyUp() bool {
	return slices.ContainsFunc(d.bells, func(b *doorbell) bool { return b.out > 0 })
}

// returnLanded puts the jobs of the landing lists back to their queues.
func (d *doorbells) returnLanded(ctx context.Context) error {
	owner := d.ledger.owners.current()
	if owner == nil {
		return nil
	}
	all, sources := make([]int, len(d.ledger.queues)), []int(nil)
	for i := range all {
		all[i] = i
		if d.ledger.isSourced(i) {
			sources = append(sources, i)
		}
	}
	_, err := owner.Fetch(ctx, queue.FetchRequest{Queues: d.ledger.queues, Adopt: all,
		Sources: sources})
	if errors.Is(err, queue.ErrLeaseLost) {
		return nil // a reclaimer puts them back
	}
	return err
}
