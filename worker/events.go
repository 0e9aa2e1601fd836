package worker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// event is a call of users' code that is made later, by Run: a call of fn, or of a method of an
// observer, which needs no closure.
type event struct {
	kind string
	fn   func(context.Context) error // nil: kind names the method of an observer

	// The observer, and the arguments of its method.
	to         Observer
	took       time.Duration
	jobs, dead int
	err        error
}

// The methods of an observer that are called later.
const (
	toldFetched   = "an observer's Fetched"
	toldSettled   = "an observer's Settled"
	toldReclaimed = "an observer's Reclaimed"
)

// later has Run call fn soon, after the events before it. It does not block: if callbackQueue
// events wait already, it drops this one and counts it.
func (c *callbacks) later(kind string, fn func(context.Context) error) {
	c.put(event{kind: kind, fn: fn})
}

// put adds an event to the queue, or drops it.
func (c *callbacks) put(e event) {
	select {
	case c.queue <- e:
	default:
		c.drop(e.kind, 1)
	}
}

// drop counts n dropped events, and logs their number once a minute.
func (c *callbacks) drop(kind string, n int) {
	if n := c.minutely("dropped", n); n > 0 {
		c.log.Warn("callbacks were dropped, because those before them take too long",
			"callback", kind, "dropped", n, "waiting", len(c.queue))
	}
}

// Run makes the calls of the queued events until ctx ends. Then it makes the calls that are left,
// for at most callbackWithin, and drops the rest.
func (c *callbacks) Run(ctx context.Context) error {
	last := func() { end := time.Now().Add(callbackWithin); c.end.CompareAndSwap(nil, &end) }
	defer context.AfterFunc(ctx, last)() // ctx may end while a call hangs
	calls := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		select {
		case e := <-c.queue:
			c.tellBatch(calls, c.batch(e))
			sleep(ctx, callbackGather)
		case <-ctx.Done():
		}
	}
	last()
	for {
		select {
		case e := <-c.queue:
			c.tellBatch(calls, c.batch(e))
		default:
			return nil
		}
	}
}

// batch is a list of events whose calls one goroutine makes, one after the other. When a call
// hangs, another goroutine makes the calls behind it.
type batch struct {
	mu     sync.Mutex // guards the rest: the goroutines of the turns and Run read and write it
	events []event    // does not change
	next   int        // index of the first event that no goroutine has claimed
	turn   int        // the number of the turn whose goroutine may claim events
}

// batch returns e with the events that wait behind it.
func (c *callbacks) batch(e event) *batch {
	n := min(len(c.queue), callbackBatch-1)
	b := &batch{events: make([]event, 1, 1+n)}
	b.events[0] = e
	for range n { // only Run takes events out of the queue
		b.events = append(b.events, <-c.queue)
	}
	return b
}

// tellBatch makes the calls of a batch, until the end of Run if that is known. A call that hangs
// delays those behind it by callbackWithin.
func (c *callbacks) tellBatch(ctx context.Context, b *batch) {
	for {
		turn, left := b.take()
		within := callbackWithin
		if end := c.end.Load(); end != nil {
			within = min(within, time.Until(*end))
		}
		if left == 0 {
			return
		}
		if within <= 0 {
			c.drop(b.kind(), left)
			return
		}
		err := c.start(ctx, b.kind, within, func(ctx context.Context) error {
			c.tellTurn(ctx, b, turn)
			return nil
		})
		if errors.Is(err, errRefused) {
			c.refused(b.kind(), left)
			return
		}
		c.report(b.kind(), err)
	}
}

// tellTurn makes calls of a batch, and begins none after callbackShare.
func (c *callbacks) tellTurn(ctx context.Context, b *batch, turn int) {
	for began := time.Now(); time.Since(began) < callbackShare; {
		e := b.claim(turn)
		if e == nil {
			return
		}
		c.tell(ctx, e)
	}
}

// take begins a new turn, so that no earlier turn claims another event. It returns the number of
// the turn, and how many events are left.
func (b *batch) take() (turn, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	return b.turn, len(b.events) - b.next
}

// claim returns the next event, or nil if there is none or a later turn has begun.
func (b *batch) claim(turn int) *event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turn != turn || b.next == len(b.events) {
		return nil
	}
	b.next++
	return &b.events[b.next-1]
}

// kind returns the kind of the event whose call is made now.
func (b *batch) kind() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[max(b.next-1, 0)].kind
}

// tell makes the call of one event. A panic is logged.
func (c *callbacks) tell(ctx context.Context, e *event) {
	defer c.recovered(e.kind)
	switch {
	case e.fn != nil:
		c.report(e.kind, e.fn(ctx))
	case e.kind == toldFetched:
		e.to.Fetched(e.took, e.jobs, e.err)
	case e.kind == toldSettled:
		e.to.Settled(e.took, e.jobs, e.err)
	case e.kind == toldReclaimed:
		e.to.Reclaimed(e.jobs, e.dead)
	}
}

// observer returns an Observer that protects the worker from o. Fetched, Settled and Reclaimed of o
// are called later, by Run. Ran is called by the thread that ran the job: a panic is logged, and
// the time is the thread's. If o is nil, observer returns nil.
func (c *callbacks) observer(o Observer) Observer {
	if o == nil {
		return nil
	}
	return &guarded{o, c}
}

// guarded is an Observer that calls another one in a way that cannot harm the worker.
type guarded struct {
	to Observer
	c  *callbacks
}

func (g *guarded) Ran(r JobRun) {
	defer g.c.recovered("an observer's Ran")
	g.to.Ran(r)
}

func (g *guarded) Fetched(took time.Duration, jobs int, err error) {
	g.c.put(event{kind: toldFetched, to: g.to, took: took, jobs: jobs, err: err})
}

func (g *guarded) Settled(took time.Duration, jobs int, err error) {
	g.c.put(event{kind: toldSettled, to: g.to, took: took, jobs: jobs, err: err})
}

func (g *guarded) Reclaimed(requeued, poisoned int) {
	g.c.put(event{kind: toldReclaimed, to: g.to, jobs: requeued, dead: poisoned})
}
