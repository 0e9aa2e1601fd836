package top

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Record puts an act into the audit: the words of a command, and what was done.
type Record func(command, what string) error

// actor is the Acts of a Redis.
type actor struct {
	store  *queue.Store
	in     *inspect.Inspector
	record Record
}

// NewActs returns the Acts of a Redis.
func NewActs(store *queue.Store, in *inspect.Inspector, record Record) Acts {
	return &actor{store, in, record}
}

// Apply carries out a request.
func (a *actor) Apply(ctx context.Context, r Request) (done string, err error) {
	switch r.Verb {
	case Pause:
		return a.each(r.Names, "queue pause", "paused", func(name string) error {
			return a.store.Pause(ctx, name)
		})
	case Unpause:
		return a.each(r.Names, "queue unpause", "unpaused", func(name string) error {
			return a.store.Unpause(ctx, name)
		})
	case Quiet:
		return a.signal(ctx, r, "TSTP")
	case Stop:
		return a.signal(ctx, r, "TERM")
	}
	if name, ok := r.Set.Queue(); ok {
		return a.dequeue(ctx, r, name)
	}
	set, err := setOf(a.in, r.Set)
	if err != nil {
		return "", err
	}
	change, ok := map[Verb]change{Retry: set.Retry, Kill: set.Kill, Delete: set.Delete,
		Release: set.AddToQueue}[r.Verb]
	if !ok {
		return "", fmt.Errorf("%s: there is no such verb for %s", r.Verb, r.Set)
	}
	if len(r.Jobs) > 0 {
		return a.some(ctx, r, change)
	}
	return a.all(ctx, r, set, change)
}

// change changes entries of a set, and returns how many were still there.
type change func(context.Context, ...queue.Entry) (int, error)

// did records an act that was done. The error says that it is not in the audit.
func (a *actor) did(command, what string) error {
	if err := a.record(command, what); err != nil {
		return fmt.Errorf("done, but not in the audit: %w", err)
	}
	return nil
}

// each does something with each of the names.
func (a *actor) each(names []string, command, done string, do func(string) error) (string, error) {
	for _, name := range names {
		if err := do(name); err != nil {
			return "", err
		}
		if err := a.did(command, done+" "+name); err != nil {
			return "", err
		}
	}
	return done + " " + strings.Join(names, ", "), nil
}

// signal sends processes a signal.
func (a *actor) signal(ctx context.Context, r Request, name string) (string, error) {
	return a.each(r.Names, string(r.Verb), name+" →", func(id string) error {
		return a.in.Signal(ctx, id, name)
	})
}

// command are the words of workerctl for an act on jobs.
func (r Request) command() string { return string(r.Set) + " " + string(r.Verb) }

// some changes jobs that were chosen by hand.
func (a *actor) some(ctx context.Context, r Request, do change) (string, error) {
	changed := 0
	for _, e := range r.Jobs {
		n, err := do(ctx, e)
		if err != nil {
			return "", err
		}
		if n == 0 {
			continue
		}
		changed++
		if err := a.did(r.command(), string(r.Verb)+" "+jidOf(e)); err != nil {
			return "", err
		}
	}
	return changedOf(r, changed)
}

// changedOf says how many of the jobs that were chosen by hand were changed.
func changedOf(r Request, changed int) (string, error) {
	switch {
	case changed == 0:
		return "", fmt.Errorf("%s %s: %w: left %s meanwhile", r.Verb, named("job", r.JIDs()),
			queue.ErrNotFound, r.Set)
	case changed < len(r.Jobs):
		return fmt.Sprintf("%s: %d of %d jobs; the others left %s meanwhile", r.Verb, changed,
			len(r.Jobs), r.Set), nil
	}
	return fmt.Sprintf("%s: %s", r.Verb, named("job", r.JIDs())), nil
}

// all changes the jobs that the filter chooses. What was changed before an error is in the audit.
func (a *actor) all(ctx context.Context, r Request, set *inspect.JobSet, do change) (string,
	error) {
	filter, err := inspect.ParseFilter(r.Filter)
	if err != nil {
		return "", err
	}
	tally, err := set.Where(ctx, filter, r.AsOf,
		func(ctx context.Context, page ...queue.Entry) (int, error) {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			return do(ctx, page...)
		})
	done := fmt.Sprintf("%s: %d jobs", r.Verb, tally.Changed)
	if r.Filter != "" {
		done += ", of the filter " + r.Filter
	}
	if tally.Changed == 0 {
		return done, err
	}
	if err != nil {
		err = fmt.Errorf("%s jobs were changed, then: %w", text.Grouped(int64(tally.Changed)), err)
	}
	return done, errors.Join(err, a.did(r.command(), done))
}

// dequeue deletes jobs of a queue.
func (a *actor) dequeue(ctx context.Context, r Request, name string) (string, error) {
	if r.Verb != Delete || len(r.Jobs) == 0 {
		return "", fmt.Errorf("%s: jobs of a queue can be deleted, one by one", r.Verb)
	}
	changed := 0
	for _, e := range r.Jobs {
		err := a.store.DeleteFromQueue(ctx, name, e.Raw)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		changed++
		if err := a.did("queue delete", "delete "+jidOf(e)+" of "+name); err != nil {
			return "", err
		}
	}
	return changedOf(r, changed)
}
