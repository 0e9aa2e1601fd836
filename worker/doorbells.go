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
	// unhangWithin is how long Redis may take to take the bells down, and how soon one that it
	// missed is asked again.
	unhangWithin = time.Second
	unhangAgain  = 20 * time.Millisecond
	// pollEvery is how often a sleeping fetcher looks for jobs where bells cannot be hung, and
	// pollFor how long before they are tried again.
	pollEvery = 100 * time.Millisecond
	pollFor   = 5 * time.Second
	// shunFor is how long no bell is hung on a queue whose keys have a wrong type.
	shunFor = 5 * time.Second
)

// doorbells hang on the queues of the process, one on each, whichever capsules serve it, when
// the ledger wants them. Run owns the fields, but for the atomic one; each bell has a
// goroutine that tells the ledger itself what rang, and wakes a thread for what it brought.
type doorbells struct {
	ledger   *ledger
	outage   *outage
	log      *slog.Logger
	observer Observer
	serve    [][]string // by capsule: the queues that it serves

	bells   []*doorbell // by queue of the ledger
	refused chan shunned
	back    chan int     // bells that came down
	retryAt []time.Time  // by queue: when a shunned one is tried again
	noted   []time.Time  // by queue: when it was last logged that it is shunned
	pollTo  atomic.Int64 // until when bells are not tried, in Unix milliseconds; 0: they are
}

// doorbell is the bell of one queue and its goroutine.
type doorbell struct {
	queue int
	hang  chan errand
	bell  *queue.Bell // nil before it is first hung
	out   int         // rings under way: one is hung again before Run hears that it came down
}

// errand is a doorbell that is to be hung, and the trip that it carries.
type errand struct {
	bell *queue.Bell
	trip *protocol.Trip
}

// shunned are queues that a key of a wrong type holds up.
type shunned struct {
	queues []string
	key    string
}

func newDoorbells(l *ledger, o *outage, log *slog.Logger, observer Observer) *doorbells {
	n := len(l.queues)
	d := &doorbells{ledger: l, outage: o, log: log, observer: observer,
		refused: make(chan shunned, 16), back: make(chan int, 2*n),
		retryAt: make([]time.Time, n), noted: make([]time.Time, n)}
	for i := range n {
		d.bells = append(d.bells, &doorbell{queue: i, hang: make(chan errand, 1)})
	}
	return d
}

// Run hangs bells and takes them down until ctx ends. Then it takes all down, and puts what
// has landed back to its queue.
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
		case <-d.ledger.bell:
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
		d.log.Warn("Redis does not answer: a reclaimer takes what its doorbells may still bring")
		return nil // the calls under way end by their time-outs
	}
	return g.Wait()
}

// turn carries out what the ledger wants, and says when to look again anyway.
func (d *doorbells) turn(ctx context.Context) time.Duration {
	d.forgive()
	l := d.ledger
	l.mu.Lock()
	hang, unhang := l.process.Bells(l.owners.holds(time.Now()) && !d.polling())
	l.mu.Unlock()
	for _, t := range hang {
		i := t.Adopt[0]
		d.bells[i].rehang(t, l.queues[i])
	}
	if len(unhang) == 0 {
		return turnEvery
	}
	d.unhang(ctx, unhang)
	return unhangAgain
}

// rehang hangs a bell that is down.
func (b *doorbell) rehang(t *protocol.Trip, name string) {
	if b.bell == nil || b.bell.Owner() != t.Owner {
		b.close()
		b.bell = t.Owner.Bell(name)
	}
	b.out++
	b.hang <- errand{b.bell, t}
}

func (b *doorbell) close() {
	if b.bell != nil {
		b.bell.Close()
	}
}

// unhang asks Redis to wake bells. They come down by themselves then; one that it missed is
// asked again, or times out.
func (d *doorbells) unhang(ctx context.Context, list []int) {
	// a Redis that hangs must not hold the loop up
	ctx, cancel := context.WithTimeout(ctx, unhangWithin)
	defer cancel()
	for _, i := range list {
		if b := d.bells[i]; b.out > 0 {
			b.bell.Unhang(ctx)
		}
	}
}

// answer hangs one bell whenever it is told to, and tells the ledger how it came down. The
// thread for what it brought is woken last: it runs as soon as this goroutine waits.
func (d *doorbells) answer(ctx context.Context, b *doorbell) {
	for e := range b.hang {
		rung, err := e.bell.Ring(ctx, e.trip.First, d.serve[e.trip.Capsule])
		d.down(e.trip, rung, d.failed(b, err))
		d.back <- b.queue
		d.ledger.rouse(e.trip.Capsule)
	}
}

// failed notes how a bell could not hang or came down, and reports whether it is unknown
// what it brought.
func (d *doorbells) failed(b *doorbell, err error) (lost bool) {
	name := d.ledger.queues[b.queue]
	switch {
	case err == nil:
		d.outage.worked("doorbell")
		d.pollTo.Store(0) // it could hang
	case errors.Is(err, queue.ErrFull):
		if d.poll() {
			d.log.Warn("Redis is over its maxmemory and refuses blocking moves: "+
				"fetchers look for jobs now and then instead", "every", pollEvery)
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

// down tells the ledger that a bell is down, and wakes the fetcher that is to look.
func (d *doorbells) down(t *protocol.Trip, r queue.Rung, lost bool) {
	l := d.ledger
	l.mu.Lock()
	wake := l.process.Down(t, protocol.Rung{Landed: r.Landed, Lost: lost, Job: r.Job})
	urgent := l.process.Urgent(t.Capsule)
	l.mu.Unlock()
	if wake >= 0 {
		ring(l.pools[wake].freed)
	}
	if urgent { // it goes back
		ring(l.pools[t.Capsule].settle)
	}
	if lost {
		ring(l.audit)
	}
	if r.Job != nil && d.observer != nil {
		d.observer.Fetched(0, 1, nil)
	}
	if o := l.owners; (r.Landed || lost) && t.Owner != o.current() {
		// It landed with an identity that is gone, perhaps so long that it was forgotten: it
		// is written down once more, for a reclaimer to look.
		t.Owner.Leave(context.Background(), o.host, o.queues)
	}
}

// poll does without bells for a while, and reports whether that is news: a Redis over its
// maxmemory refuses them, but not a fetch, and so may its rules about users.
func (d *doorbells) poll() (news bool) {
	return d.pollTo.Swap(time.Now().Add(jittered(pollFor)).UnixMilli()) == 0
}

// polling reports whether fetchers are to look for jobs by themselves.
func (d *doorbells) polling() bool {
	till := d.pollTo.Load()
	return till != 0 && time.Now().UnixMilli() < till
}

// shun leaves queues without a bell for a while: a key has a wrong type, so their jobs cannot
// be taken, and a bell would ring for them without an end.
func (d *doorbells) shun(queues []string, key string) {
	select {
	case d.refused <- shunned{queues, key}:
	default: // it is found again
	}
}

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

// forgive tries queues again that were shunned for long enough: fetchers look once.
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

// finish takes the bells down and puts what has landed back, and reports whether it could.
func (d *doorbells) finish(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for d.anyUp() {
		d.turn(ctx) // quiet: the ledger wants none
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

func (d *doorbells) anyUp() bool {
	return slices.ContainsFunc(d.bells, func(b *doorbell) bool { return b.out > 0 })
}

// returnLanded puts back to their queues what lies in the landing lists.
func (d *doorbells) returnLanded(ctx context.Context) error {
	owner := d.ledger.owners.current()
	if owner == nil {
		return nil
	}
	all := make([]int, len(d.ledger.queues))
	for i := range all {
		all[i] = i
	}
	_, err := owner.Fetch(ctx, queue.FetchRequest{Queues: d.ledger.queues, Adopt: all})
	if errors.Is(err, queue.ErrLeaseLost) {
		return nil // the reclaimer does
	}
	return err
}
