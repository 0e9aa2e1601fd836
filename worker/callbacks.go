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
	callbackWithin = 5 * time.Second // how long a callback may take
	callbackQueue  = 1024            // the most events that wait for their call
	maxOverdue     = 64              // with so many overdue callbacks no more are called

	// callbackShare is how long one goroutine begins calls before another one takes over, so that
	// each call has nearly all of callbackWithin to itself.
	callbackShare = 100 * time.Millisecond
	// callbackGather is how long events gather, so that one goroutine makes many calls.
	callbackGather = 10 * time.Millisecond
	callbackBatch  = 256 // the most events of a batch
)

var (
	errOverdue = errors.New("it has not returned in time, and runs on")
	errRefused = errors.New("it was not called: too many callbacks are past their time")
)

// callbacks calls the users' code that does not run jobs: hooks, error handlers, death handlers and
// observers. Each call has a goroutine of its own, because nothing can stop code that hangs: then
// the caller goes on without it. At most maxOverdue calls, and one more for each caller that waits
// at that moment, can hang. Safe for concurrent use.
type callbacks struct {
	log   *slog.Logger
	queue chan event                // from all goroutines to Run
	end   atomic.Pointer[time.Time] // when Run ends; Run writes it when its context ends

	mu      sync.Mutex        // guards the rest: callers and the goroutines of the calls use it
	overdue int               // calls that run on although their caller has gone on
	tallies map[string]*tally // by what they count
}

// tally counts events that happen too often for a line each time.
type tally struct {
	n    int       // since the last line
	said time.Time // when the last line was written
}

func newCallbacks(log *slog.Logger) *callbacks {
	return &callbacks{log: log, queue: make(chan event, callbackQueue),
		tallies: map[string]*tally{}}
}

// callback is one call under way.
type callback struct {
	kind      func() string
	began     time.Time
	goroutine atomic.Pointer[string] // the name of the call's goroutine, which writes it
	done      chan struct{}          // closed when the call has returned
	err       error                  // the call's goroutine writes it before it closes done
	overdue   bool                   // the caller has gone on; guarded by the mutex of callbacks
}

// run calls fn in a goroutine of its own, with a context that ends after the given time, and
// returns its error. A panic, and a call of runtime.Goexit, become a *PanicError. When the time is
// over, run returns errOverdue, and fn runs on. The end of ctx ends the context of fn, but run
// still waits for fn, so that a callback can finish during a stop.
func (c *callbacks) run(ctx context.Context, kind string, within time.Duration,
	fn func(context.Context) error) error {
	return c.start(ctx, func() string { return kind }, within, fn)
}

// start is run, with a kind that is computed only if there is something to log.
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

// do calls fn and writes call.err. It does not return the error, because after runtime.Goexit no
// function returns.
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

// may reports whether one more callback may be called: not while maxOverdue are overdue.
func (c *callbacks) may() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overdue < maxOverdue
}

// leave notes that a call has returned.
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
			"took", logSeconds(time.Since(call.began)), "err", call.err)
	}
}

// abandon has the caller go on while the call runs. It logs the stack of the call.
func (c *callbacks) abandon(call *callback, within time.Duration) error {
	c.mu.Lock()
	select {
	case <-call.done: // it returned at the last moment
		c.mu.Unlock()
		return call.err
	default:
	}
	call.overdue = true
	c.overdue++
	c.mu.Unlock()
	kind := call.kind()
	stack := "" // once a minute only, because it stops all goroutines for a moment
	if name := call.goroutine.Load(); name != nil && c.minutely("stack of "+kind, 1) > 0 {
		stack = stackOf(*name)
	}
	c.log.Error("a callback does not return, the worker goes on without it: make it obey its "+
		"context", "callback", kind, "ran", logSeconds(within), "stack", stack)
	return fmt.Errorf("%s, after %v: %w", kind, within, errOverdue)
}

// report logs why a callback failed, unless abandon has logged it.
func (c *callbacks) report(kind string, err error) {
	switch {
	case err == nil, errors.Is(err, errOverdue):
	case errors.Is(err, errRefused):
		c.refused(kind, 1)
	default:
		c.failed(kind, err)
	}
}

// refused counts n callbacks that were not called, and logs their number once a minute.
func (c *callbacks) refused(kind string, n int) {
	if n := c.minutely("refused", n); n > 0 {
		c.log.Error("callbacks are not called, because too many do not return: "+
			"only a new process gets rid of them", "callback", kind, "hang", maxOverdue,
			"not_called", n)
	}
}

// failed counts a failure of a callback, and logs it once a minute.
func (c *callbacks) failed(kind string, err error) {
	if n := c.minutely("failed "+kind, 1); n > 0 {
		c.log.Error("a callback failed", "callback", kind, "err", err, "times", n)
	}
}

// minutely adds n to the tally of a name. Once a minute it returns the sum since the last line,
// which the caller logs. Otherwise it returns 0.
func (c *callbacks) minutely(name string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tallies[name]
	if t == nil {
		t = new(tally)
		c.tallies[name] = t
	}
	t.n += n
	if !t.said.IsZero() && time.Since(t.said) < time.Minute {
		return 0
	}
	n, t.n, t.said = t.n, 0, time.Now()
	return n
}

// tellError calls the error handlers for a failure. A handler that hangs delays the caller by
// callbackWithin; the handlers after it are called when it returns.
func (c *callbacks) tellError(ctx context.Context, handlers []ErrorHandler, err error,
	j *queue.Job) {
	c.each(ctx, "error handler", len(handlers), func(ctx context.Context, i int) {
		handlers[i](ctx, err, j)
	})
}

// tellDeath calls the death handlers for a job. payload is the job with the fields of its last
// failure; it may be empty.
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

// each calls n handlers in order. The end of ctx does not cancel them, because they must hear of a
// failure during a stop too.
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

// protect calls fn in the caller's goroutine. A panic is logged.
func (c *callbacks) protect(kind string, fn func()) {
	defer c.recovered(kind)
	fn()
}

// recovered logs a panic. It must be deferred itself, because recover works nowhere else.
func (c *callbacks) recovered(kind string) {
	if v := recover(); v != nil {
		c.failed(kind, newPanicError(v))
	}
}

// guardedDecision calls fn, which calls methods of a job's error, and returns its panic. The panic
// carries plain text, not the value, because the value may be the error whose methods panic.
func guardedDecision(fn func()) (panicked *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			panicked = newPanicError("a method of the job's error panicked: " + textOf(v))
		}
	}()
	fn()
	return nil
}

// textOf returns the text of a value, also if the methods of the value panic.
func textOf(v any) (text string) {
	defer func() {
		if recover() != nil { // fmt panics if the text of a panic panics too
			text = fmt.Sprintf("a %T, whose text cannot be read", v)
		}
	}()
	return fmt.Sprint(v)
}
