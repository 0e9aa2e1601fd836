package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// flushPlace is how often the place of a running iterable job is written to Redis, and how soon it
// learns that it was cancelled: Sidekiq's five seconds.
const flushPlace = 5 * time.Second

// Iterable is a job of many steps. It can be interrupted between two steps, and continues there
// later, in this worker or in another one: after this worker was quieted or stopped, after
// Config.MaxIteration, after an error, or after a crash. Its place is stored in Redis as that of
// Sidekiq's iterable jobs (docs/wire.md 12), so Sidekiq's web page shows it and can cancel it.
//
// A is the type of the job's arguments, T of an element, C of a cursor, which is stored as JSON.
type Iterable[A, T, C any] struct {
	// Items yields the elements in order, each with its cursor. It returns when there are no more
	// elements, or when yield returns false. It begins with the element at cursor, whose step has
	// not been done; cursor is nil in the first run. An error fails the job, which keeps its place.
	// Required.
	Items func(ctx context.Context, args A, cursor *C, yield func(item T, cursor C) bool) error

	// Each does one step. It must work when it runs twice for the same element: after a crash, the
	// steps of the last five seconds run again. An error fails the job, and the next attempt begins
	// with the same element. Required.
	Each func(ctx context.Context, args A, item T) error

	// These are optional. OnStart is called before the first run, OnResume before every later run,
	// OnStop after a run that ended without an error, OnCancel after a run that ended because the
	// job was cancelled, and OnComplete after the last element or after OnCancel. An error fails
	// the job.
	OnStart, OnResume, OnStop, OnCancel, OnComplete func(ctx context.Context, args A) error
}

var (
	// errInterrupted is the error of an iterable job that continues later.
	errInterrupted = errors.New("interrupted between two steps")
	// errCancelled ends the steps of an iterable job that was cancelled.
	errCancelled = errors.New("cancelled")
)

// HandleIterable sets it as the handler of a class. The arguments are decoded as Handle does. It
// panics if Items or Each is nil, and as Handle does.
func HandleIterable[A, T, C any](m *Mux, class string, it Iterable[A, T, C], options ...Options) {
	if it.Items == nil || it.Each == nil {
		panic(fmt.Sprintf("worker: class %q: an Iterable needs Items and Each", class))
	}
	m.HandleJob(class, withArgs(class, it.run), options...)
}

// run is the handler: it reads the place, does steps, and keeps or deletes the place.
func (it *Iterable[A, T, C]) run(ctx context.Context, j *queue.Job, args A) error {
	p, err := openPlace(ctx, j.JID)
	if err != nil {
		return err
	}
	var cursor *C
	if p.at.Cursor != nil {
		cursor = new(C)
		if err := json.Unmarshal(p.at.Cursor, cursor); err != nil {
			return fmt.Errorf("the cursor %.100s of the iteration: %w", p.at.Cursor, err)
		}
	}
	begin := it.OnResume
	if p.at.Executions == 1 {
		begin = it.OnStart
	}
	if err := call1(ctx, begin, args); err != nil {
		return err
	}
	err = errCancelled
	if p.at.Cancelled.IsZero() {
		err = it.steps(ctx, p, args, cursor)
	}
	return it.finish(ctx, p, args, err)
}

// steps does the steps from cursor on. The error is errCancelled, errInterrupted, or the error of a
// step, whose place is kept.
func (it *Iterable[A, T, C]) steps(ctx context.Context, p *place, args A, cursor *C) error {
	var stopped error
	err := it.Items(ctx, args, cursor, func(item T, at C) bool {
		if stopped = p.reach(ctx, at); stopped != nil {
			return false
		}
		began := time.Now()
		if stopped = it.Each(ctx, args, item); stopped != nil {
			p.save(ctx)
			return false
		}
		p.warnIfSlow(ctx, time.Since(began))
		return true
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		p.save(ctx)
	}
	return err
}

// finish calls the functions that follow a run which ended with err, and returns the error of the
// job.
func (it *Iterable[A, T, C]) finish(ctx context.Context, p *place, args A, err error) error {
	hooks := []func(context.Context, A) error{it.OnStop, it.OnComplete}
	switch {
	case errors.Is(err, errCancelled):
		LogFrom(ctx).Info("cancelled between two steps")
		hooks = append([]func(context.Context, A) error{it.OnCancel}, hooks...)
	case errors.Is(err, errInterrupted):
		if err := call1(ctx, it.OnStop, args); err != nil {
			return err
		}
		return errInterrupted
	case err != nil:
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, queue.ErrLeaseLost) {
		return cause // the job continues in another worker, so it has not ended here
	}
	for _, hook := range hooks {
		if err := call1(ctx, hook, args); err != nil {
			return err
		}
	}
	return p.end(ctx)
}

// call1 calls a hook, if there is one.
func call1[A any](ctx context.Context, hook func(context.Context, A) error, args A) error {
	if hook == nil {
		return nil
	}
	return hook(ctx, args)
}

// place is where a run of an iterable job is. Outside of a worker, as in tests, and without a jid,
// it is not stored. Only the goroutine of the handler uses it.
type place struct {
	jid    string
	env    *environment // nil: the place is not stored
	store  *queue.Store // of the job's shard
	at     queue.Iteration
	cursor any           // of the next element; nil before the first
	before time.Duration // how long earlier runs took together
	began  time.Time     // of this run
	saved  time.Time     // when the place was last stored, or this run began
	warned bool          // a slow step was logged
}

// openPlace reads the place of a job, and counts one more run.
func openPlace(ctx context.Context, jid string) (*place, error) {
	p := &place{jid: jid, began: time.Now(), saved: time.Now()}
	if c := jobContextOf(ctx); c != nil && c.env != nil && jid != "" {
		p.env, p.store = c.env, c.delivery.Owner.Store()
		at, _, err := p.store.Iteration(ctx, jid)
		if err != nil {
			return nil, err
		}
		p.at = at
	}
	p.before = p.at.Runtime
	p.at.Executions++
	return p, nil
}

// reach is called before each step with the cursor of its element. It returns an error if the run
// is to end here: errInterrupted, errCancelled, or the cause of the context's end.
func (p *place) reach(ctx context.Context, cursor any) error {
	p.cursor = cursor
	if ctx.Err() != nil {
		p.save(ctx)
		return context.Cause(ctx)
	}
	if p.env == nil {
		return nil
	}
	tooLong := p.env.maxIteration > 0 && time.Since(p.began) > p.env.maxIteration
	interrupt := tooLong || p.env.quieting()
	if !interrupt && time.Since(p.saved) < flushPlace {
		return nil
	}
	if cancelled := p.save(ctx); cancelled {
		return errCancelled
	}
	if interrupt {
		return errInterrupted
	}
	return nil
}

// save stores the place, and reports whether the job was cancelled. While Redis does not answer,
// the place is not stored, and after a crash the steps since the last success run again. After the
// lease was lost, the place belongs to the worker that has the job now, and save does nothing.
func (p *place) save(ctx context.Context) (cancelled bool) {
	if p.env == nil || errors.Is(context.Cause(ctx), queue.ErrLeaseLost) {
		return false
	}
	p.saved = time.Now()
	if p.cursor != nil {
		cursor, err := json.Marshal(p.cursor)
		if err != nil {
			LogFrom(ctx).Error("the place of an iterable job cannot be stored: its cursor has no "+
				"form in JSON", "err", err)
			return false
		}
		p.at.Cursor = cursor
	}
	p.at.Runtime = p.before + time.Since(p.began)
	since, err := p.store.SaveIteration(context.WithoutCancel(ctx), p.jid, p.at)
	if err != nil {
		LogFrom(ctx).Warn("the place of an iterable job was not stored: its last steps may run "+
			"again", "err", err)
	}
	return !since.IsZero()
}

// end deletes the place of a job that has ended. After the lease was lost, the place belongs to the
// worker that has the job now, and end returns queue.ErrLeaseLost.
func (p *place) end(ctx context.Context) error {
	if p.env == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, queue.ErrLeaseLost) {
		return cause
	}
	return p.store.EndIteration(context.WithoutCancel(ctx), p.jid)
}

// warnIfSlow logs, once in a run, that a step took longer than a stop waits.
func (p *place) warnIfSlow(ctx context.Context, took time.Duration) {
	if p.env != nil && !p.warned && took > p.env.timeout {
		p.warned = true
		LogFrom(ctx).Warn("a step took longer than a stop waits: a stop would interrupt it in the "+
			"middle", "took", logSeconds(took), "timeout",
			logSeconds(p.env.timeout))
	}
}
