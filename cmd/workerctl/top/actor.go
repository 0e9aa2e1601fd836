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
	person inspect.Act // By and Host
	record Record
}

// NewActs returns the Acts of a Redis. person has the By and the Host of bulk operations.
func NewActs(store *queue.Store, in *inspect.Inspector, person inspect.Act, record Record) Acts {
	return &actor{store, in, person, record}
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
	return a.operate(ctx, r)
}

// operations are the verbs of bulk operations.
var operations = map[Verb]queue.Verb{Retry: queue.VerbRetry, Kill: queue.VerbKill,
	Delete: queue.VerbDelete, Release: queue.VerbRequeue}

// operate changes jobs by a bulk operation. What was changed before an error is in the audit.
func (a *actor) operate(ctx context.Context, r Request) (string, error) {
	request, err := a.request(r)
	if err != nil {
		return "", err
	}
	o, err := a.in.Begin(ctx, request)
	if err != nil {
		return "", err
	}
	err = o.Run(ctx, nil)
	if len(r.Jobs) > 0 && o.Changed == 0 {
		return "", errors.Join(err, fmt.Errorf("%s %s: %w: left %s meanwhile", r.Verb,
			named("job", r.JIDs()), queue.ErrNotFound, r.Set))
	}
	if o.Changed == 0 {
		return fmt.Sprintf("%s: 0 jobs", r.Verb), err
	}
	done := doneLine(r, o)
	if err != nil {
		err = fmt.Errorf("%s jobs were changed, then: %w", text.Grouped(int64(o.Changed)), err)
	}
	return done, errors.Join(err, a.did(r.command(), done))
}

// request is the operation of a request.
func (a *actor) request(r Request) (inspect.Request, error) {
	verb, ok := operations[r.Verb]
	if !ok {
		return inspect.Request{}, fmt.Errorf("%s: there is no such verb for %s", r.Verb, r.Set)
	}
	filter, err := inspect.ParseFilter(r.Filter)
	o := inspect.Request{Verb: verb, Filter: filter, JIDs: r.JIDs(), AsOf: r.AsOf,
		By: a.person.By, Host: a.person.Host}
	if name, ok := r.Set.Queue(); ok || err != nil {
		o.Queue = name
		return o, err
	}
	set, err := setOf(a.in, r.Set)
	if err == nil {
		o.Set, o.Entries = set.Name(), r.Jobs
	}
	return o, err
}

// doneLine says what an operation has done.
func doneLine(r Request, o *inspect.Operation) string {
	done := fmt.Sprintf("%s: %d jobs", r.Verb, o.Changed)
	switch n := len(r.Jobs); {
	case n > o.Changed:
		done = fmt.Sprintf("%s: %d of %d jobs; the others left %s meanwhile", r.Verb, o.Changed, n,
			r.Set)
	case n > 0:
		done = fmt.Sprintf("%s: %s", r.Verb, named("job", r.JIDs()))
	case r.Filter != "":
		done += ", of the filter " + r.Filter
	}
	if o.Verb == queue.VerbDelete {
		done += " (undo: workerctl undo " + o.ID + ")"
	}
	return done
}

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
