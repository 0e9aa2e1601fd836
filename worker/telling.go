package worker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// event is something to be told to the users' code when there is time: fn, or a
// method of an observer, which needs no closure.
type event struct {
	kind string
	fn   func(context.Context) error

	to         Observer
	took       time.Duration
	jobs, dead int
	err        error
}

// The methods of an observer that are told later.
const (
	toldFetched   = "an observer's Fetched"
	toldSettled   = "an observer's Settled"
	toldReclaimed = "an observer's Reclaimed"
)

// later has fn called soon, in order, by Run. It does not block: of too many
// events some are dropped, and counted.
func (c *callbacks) later(kind string, fn func(context.Context) error) {
	c.put(event{kind: kind, fn: fn})
}

func (c *callbacks) put(e event) {
	select {
	case c.queue <- e:
	default:
		c.drop(e.kind, 1)
	}
}

func (c *callbacks) drop(kind string, n int) {
	if n := c.minutely("dropped", n); n > 0 {
		c.log.Warn("callbacks were dropped, for those before them take too long", "callback", kind,
			"dropped", n, "waiting", len(c.queue))
	}
}

// Run tells what later puts until ctx ends, and then what is left, for at most
// callbackWithin: what has not been told then is dropped.
func (c *callbacks) Run(ctx context.Context) error {
	last := func() { end := time.Now().Add(callbackWithin); c.end.CompareAndSwap(nil, &end) }
	defer context.AfterFunc(ctx, last)() // it may end while an event hangs
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

// batch is events that one goroutine tells, one after the other. When one hangs,
// another goroutine goes on behind it.
type batch struct {
	mu     sync.Mutex
	events []event
	next   int
	turn   int // of the goroutine that may take events
}

// batch collects what waits behind e.
func (c *callbacks) batch(e event) *batch {
	n := min(len(c.queue), callbackBatch-1)
	b := &batch{events: make([]event, 1, 1+n)}
	b.events[0] = e
	for range n { // nobody else takes events out
		b.events = append(b.events, <-c.queue)
	}
	return b
}

// tellBatch tells a batch, until the end of Run if that is known. An event that
// hangs holds up those behind it for callbackWithin.
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

// tellTurn tells events of a batch for callbackShare, if they go on taking time.
func (c *callbacks) tellTurn(ctx context.Context, b *batch, turn int) {
	for began := time.Now(); time.Since(began) < callbackShare; {
		e := b.claim(turn)
		if e == nil {
			return
		}
		c.tell(ctx, e)
	}
}

// take makes a new turn, so that no earlier one takes another event, and tells how
// many are left.
func (b *batch) take() (turn, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	return b.turn, len(b.events) - b.next
}

func (b *batch) claim(turn int) *event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turn != turn || b.next == len(b.events) {
		return nil
	}
	b.next++
	return &b.events[b.next-1]
}

// kind is that of the event that is told now.
func (b *batch) kind() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[max(b.next-1, 0)].kind
}

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

// observer guards the worker against o: it hears of trips and reclaims later, from
// Run's goroutines. Of a job it hears in the goroutine that ran it, where a panic
// costs a line, and time is that thread's. A nil o stays nil.
func (c *callbacks) observer(o Observer) Observer {
	if o == nil {
		return nil
	}
	return &guarded{o, c}
}

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
