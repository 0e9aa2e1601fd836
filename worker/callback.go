package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	callbackWithin = 5 * time.Second // that a callback may take
	callbackQueue  = 1024            // events that wait to be told
	maxOverdue     = 64              // callbacks past their time, before no more are called

	// callbackShare is how long one goroutine tells events before another takes over:
	// so that each event has nearly all of callbackWithin to itself.
	callbackShare = 100 * time.Millisecond
	// callbackGather is how long events gather, so that a goroutine tells many.
	callbackGather = 10 * time.Millisecond
	callbackBatch  = 256
)

var (
	errOverdue = errors.New("it still runs, and nobody waits for it any more")
	errRefused = errors.New("it was not called: too many callbacks are past their time")
)

// callbacks runs the users' code that is no handler of jobs: hooks, handlers of
// errors and deaths, observers. It runs each in a goroutine of its own, for code
// that hangs cannot be stopped: then its caller goes on without it. At most
// maxOverdue callbacks, and one more for each caller that waits at that moment,
// can hang.
type callbacks struct {
	log   *slog.Logger
	queue chan event
	end   atomic.Pointer[time.Time] // of Run, once it is told to end

	mu      sync.Mutex
	overdue int // calls that run on without a caller that waits
	tallies map[string]*tally
}

// tally counts what happens too often for a line each time.
type tally struct {
	n    int
	said time.Time
}

func newCallbacks(log *slog.Logger) *callbacks {
	return &callbacks{log: log, queue: make(chan event, callbackQueue),
		tallies: map[string]*tally{}}
}

// callback is one call under way.
type callback struct {
	kind      func() string
	began     time.Time
	goroutine atomic.Pointer[string]
	done      chan struct{}
	err       error // once done is closed
	overdue   bool  // of the mutex of callbacks
}

// run calls fn in a goroutine of its own, with a context that ends within the
// given time, and returns its error. A panic, and a call of runtime.Goexit, is a
// *PanicError. When the time is over it returns without fn. The end of ctx reaches
// fn, but run waits on: what is told of a stop is told to its end.
func (c *callbacks) run(ctx context.Context, kind string, within time.Duration,
	fn func(context.Context) error) error {
	return c.start(ctx, func() string { return kind }, within, fn)
}

// start is run; kind is asked only when there is something to say.
func (c *callbacks) start(ctx context.Context, kind func() string, within time.Duration,
	fn func(context.Context) error) error {
	if !c.may() {
		return fmt.Errorf("%s: %w", kind(), errRefused)
	}
	timed, cancel := context.WithTimeout(ctx, within)
	call := &callback{kind: kind, began: time.Now(), done: make(chan struct{})}
	go func() { // ends with fn
		defer c.leave(call)
		defer cancel()
		name := goroutineName()
		call.goroutine.Store(&name)
		call.do(timed, fn)
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-call.done:
		return call.err
	case <-timer.C:
		return c.abandon(call, within)
	}
}

// do sets the error itself: after runtime.Goexit no function returns.
func (call *callback) do(ctx context.Context, fn func(context.Context) error) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			call.err = newPanicError(v)
		} else if !returned {
			call.err = newPanicError("the callback called runtime.Goexit")
		}
	}()
	call.err = fn(ctx)
	returned = true
}

// may reports whether one more may be called: not while many hang.
func (c *callbacks) may() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overdue < maxOverdue
}

// leave ends a call that has returned.
func (c *callbacks) leave(call *callback) {
	c.mu.Lock()
	if call.overdue {
		c.overdue--
	}
	close(call.done)
	late := call.overdue
	c.mu.Unlock()
	if late {
		c.log.Warn("a callback has returned after its time", "callback", call.kind(),
			"took", time.Since(call.began), "err", call.err)
	}
}

// abandon lets a call run on without its caller.
func (c *callbacks) abandon(call *callback, within time.Duration) error {
	c.mu.Lock()
	select {
	case <-call.done: // at the last moment
		c.mu.Unlock()
		return call.err
	default:
	}
	call.overdue = true
	c.overdue++
	c.mu.Unlock()
	kind := call.kind()
	stack := "" // it costs a stop of all goroutines, so not every time
	if name := call.goroutine.Load(); name != nil && c.minutely("stack of "+kind, 1) > 0 {
		stack = stackOf(*name)
	}
	c.log.Error("a callback does not return, the worker goes on without it: "+
		"make it obey its context",
		"callback", kind, "ran", within, "stack", stack)
	return fmt.Errorf("%s, after %v: %w", kind, within, errOverdue)
}

// report writes down why a callback failed, unless that was done already.
func (c *callbacks) report(kind string, err error) {
	switch {
	case err == nil, errors.Is(err, errOverdue):
	case errors.Is(err, errRefused):
		c.refused(kind, 1)
	default:
		c.failed(kind, err)
	}
}

func (c *callbacks) refused(kind string, n int) {
	if n := c.minutely("refused", n); n > 0 {
		c.log.Error("callbacks are not called, for too many do not return: "+
			"only a new process gets rid of them", "callback", kind, "hang", maxOverdue,
			"not_called", n)
	}
}

func (c *callbacks) failed(kind string, err error) {
	if n := c.minutely("failed "+kind, 1); n > 0 {
		c.log.Error("a callback failed", "callback", kind, "err", err, "times", n)
	}
}

// minutely counts n more of what, and gives their number if it is time for a line:
// it is once a minute. Else it gives 0.
func (c *callbacks) minutely(what string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tallies[what]
	if t == nil {
		t = new(tally)
		c.tallies[what] = t
	}
	t.n += n
	if !t.said.IsZero() && time.Since(t.said) < time.Minute {
		return 0
	}
	n, t.n, t.said = t.n, 0, time.Now()
	return n
}

// tellError tells the error handlers of a failure. A handler that hangs holds its
// caller up for callbackWithin; those after it are told when it returns.
func (c *callbacks) tellError(ctx context.Context, handlers []ErrorHandler, err error,
	j *queue.Job) {
	c.each(ctx, "error handler", len(handlers), func(ctx context.Context, i int) {
		handlers[i](ctx, err, j)
	})
}

// tellDeath tells the death handlers of a job. payload is what was kept of it, with
// the fields of its last failure; it may be empty.
func (c *callbacks) tellDeath(ctx context.Context, handlers []DeathHandler, j *queue.Job,
	payload string, err error) {
	if payload != "" && len(handlers) > 0 {
		if dead, perr := envelope.ParseJob(payload); perr == nil {
			j = dead
		}
	}
	c.each(ctx, "death handler", len(handlers), func(ctx context.Context, i int) {
		handlers[i](ctx, j, err)
	})
}

// each calls n handlers in order. The end of ctx does not reach them: a stop is no
// reason not to hear of a failure.
func (c *callbacks) each(ctx context.Context, kind string, n int, call func(context.Context, int)) {
	if n == 0 {
		return
	}
	err := c.run(context.WithoutCancel(ctx), kind, callbackWithin, func(ctx context.Context) error {
		for i := range n {
			c.protect(kind, func() { call(ctx, i) })
		}
		return nil
	})
	c.report(kind, err)
}

// protect calls fn here and now. A panic costs a line.
func (c *callbacks) protect(kind string, fn func()) {
	defer c.recovered(kind)
	fn()
}

// recovered must be deferred itself: recover works nowhere else.
func (c *callbacks) recovered(kind string) {
	if v := recover(); v != nil {
		c.failed(kind, newPanicError(v))
	}
}

// guardedDecision calls fn, which asks an error for what it is, and gives its
// panic. That carries plain text, not the value: it may be the very error whose
// methods panic.
func guardedDecision(fn func()) (panicked *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			panicked = newPanicError("a method of the job's error panicked: " + textOf(v))
		}
	}()
	fn()
	return nil
}

// textOf is a value's text, also of one whose own methods panic.
func textOf(v any) (text string) {
	defer func() {
		if recover() != nil { // fmt gives up when printing the panic panics too
			text = fmt.Sprintf("a %T, whose text cannot be read", v)
		}
	}()
	return fmt.Sprint(v)
}
