package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// flushPlace is how often the place of a running iterable job is written down,
// and how soon it learns that it was cancelled: Sidekiq's five seconds.
const flushPlace = 5 * time.Second

// Iterable is a job of many steps that can be interrupted between two of them
// and goes on where it was, here or in another worker: when this one is quieted
// or stopped, after MaxIteration, after an error, or after a crash. It keeps its
// place as Sidekiq's iterable jobs do (docs/wire.md 12), so Ruby's page shows it
// and can cancel it.
//
// A is the type of the job's arguments, T of an element, C of its cursor, which
// is stored as JSON.
type Iterable[A, T, C any] struct {
	// Items yields the elements in order, each with its cursor, and returns when
	// there are no more or yield returns false. It begins with the element at
	// cursor, that one included: it has not been done. cursor is nil at the start.
	Items func(ctx context.Context, args A, cursor *C, yield func(item T, cursor C) bool) error

	// Each does one step. It must bear a second run with the same element: after a
	// crash, the steps of up to five seconds come again.
	Each func(ctx context.Context, args A, item T) error

	// The rest is optional. OnStart runs before the first run, OnResume before
	// every later one; OnStop after a run that ended without an error; OnCancel
	// when the job turns out to be cancelled; OnComplete after the last element, or
	// after OnCancel.
	OnStart, OnResume, OnStop, OnCancel, OnComplete func(ctx context.Context, args A) error
}

var (
	// errInterrupted is how an iterable job says that it goes on later.
	errInterrupted = errors.New("interrupted between two steps")
	errCancelled   = errors.New("cancelled")
)

// HandleIterable sets it as the handler of a class. Arguments are decoded as by
// Handle. It panics if Items or Each is missing.
func HandleIterable[A, T, C any](m *Mux, class string, it Iterable[A, T, C], options ...Options) {
	if it.Items == nil || it.Each == nil {
		panic(fmt.Sprintf("worker: class %q: an Iterable needs Items and Each", class))
	}
	m.HandleJob(class, withArgs(class, it.run), options...)
}

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

// steps goes through the elements. The error is errCancelled, errInterrupted, or
// that of a step, whose place is kept.
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
		return cause // it goes on elsewhere: nothing of it has come to its end here
	}
	for _, hook := range hooks {
		if err := call1(ctx, hook, args); err != nil {
			return err
		}
	}
	return p.end(ctx)
}

func call1[A any](ctx context.Context, hook func(context.Context, A) error, args A) error {
	if hook == nil {
		return nil
	}
	return hook(ctx, args)
}

// place is where a run of an iterable job is. Outside of a worker, as in tests,
// or without a jid, nothing is kept.
type place struct {
	jid    string
	env    *environment
	at     queue.Iteration
	cursor any           // of the element to come; nil before the first
	before time.Duration // of earlier runs
	began  time.Time
	saved  time.Time
	warned bool
}

func openPlace(ctx context.Context, jid string) (*place, error) {
	p := &place{jid: jid, began: time.Now(), saved: time.Now()}
	if c := jobContextOf(ctx); c != nil && c.env != nil && jid != "" {
		p.env = c.env
		at, _, err := p.env.store.Iteration(ctx, jid)
		if err != nil {
			return nil, err
		}
		p.at = at
	}
	p.before = p.at.Runtime
	p.at.Executions++
	return p, nil
}

// reach comes to an element before it is done: now is the time to stop.
func (p *place) reach(ctx context.Context, cursor any) error {
	p.cursor = cursor
	if ctx.Err() != nil {
		p.save(ctx)
		return context.Cause(ctx)
	}
	if p.env == nil {
		return nil
	}
	interrupt := p.env.quieting() || (p.env.maxIteration > 0 &&
		time.Since(p.began) > p.env.maxIteration)
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

// save writes the place down, and reports whether the job was cancelled. A Redis
// that is away costs only the steps since it was last there: they come again.
// Once the lease is lost the place is another worker's to keep.
func (p *place) save(ctx context.Context) (cancelled bool) {
	if p.env == nil || errors.Is(context.Cause(ctx), queue.ErrLeaseLost) {
		return false
	}
	p.saved = time.Now()
	if p.cursor != nil {
		cursor, err := json.Marshal(p.cursor)
		if err != nil {
			LogFrom(ctx).Error("the place of an iterable job cannot be written down: its cursor "+
				"is no JSON", "err", err)
			return false
		}
		p.at.Cursor = cursor
	}
	p.at.Runtime = p.before + time.Since(p.began)
	since, err := p.env.store.SaveIteration(context.WithoutCancel(ctx), p.jid, p.at)
	if err != nil {
		LogFrom(ctx).Warn("the place of an iterable job was not written down: its last steps may "+
			"run again", "err", err)
	}
	return !since.IsZero()
}

// end forgets the place of a job that has come to its end. Once the lease is lost the place
// belongs to the worker that has the job now.
func (p *place) end(ctx context.Context) error {
	if p.env == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, queue.ErrLeaseLost) {
		return cause
	}
	return p.env.store.EndIteration(context.WithoutCancel(ctx), p.jid)
}

// warnIfSlow tells once of a step that is longer than a stop waits for it.
func (p *place) warnIfSlow(ctx context.Context, took time.Duration) {
	if p.env != nil && !p.warned && took > p.env.timeout {
		p.warned = true
		LogFrom(ctx).Warn("a step took longer than a stop waits: it would be interrupted in the "+
			"middle", "took", took, "timeout", p.env.timeout)
	}
}
