package worker

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Handler runs a job. Its error decides, with the job's options, what becomes of
// the job: see queue.Discard, Kill, RetryIn and Snooze.
type Handler func(ctx context.Context, j *queue.Job) error

// Middleware wraps a handler. What it changes in the context reaches the
// handler; the job's bytes it cannot change.
type Middleware func(next Handler) Handler

// Options are how jobs of a class are treated. What the job's own payload says
// (retry, dead, backtrace) comes first.
type Options struct {
	Retry queue.RetryOption // for jobs that do not say; retried by default

	// RetryDelay gives the wait before the next attempt; count is 0 after the
	// first failure. Zero or less means Sidekiq's n⁴+15 seconds.
	RetryDelay func(count int, err error) time.Duration

	// Timeout cancels a run's context. A handler that does not return then keeps
	// its thread, and is reported as stuck.
	Timeout time.Duration

	// Deadline is the age at which a job, counted from its creation, is given
	// up: its context ends, and it goes to the dead set without another run.
	Deadline time.Duration

	// NoDead drops jobs, and does not keep them in the dead set, when their retries
	// are exhausted.
	NoDead bool

	// Backtrace is the number of lines of the stack to keep with a failure, for
	// jobs that do not say; -1 keeps all.
	Backtrace int
}

// Mux knows the handlers by class. Fill it before the Runner runs; it is not
// safe to change after.
type Mux struct {
	entries    map[string]*entry
	middleware []Middleware
}

type entry struct {
	class   string
	handler Handler
	Options
}

// NewMux makes an empty Mux.
func NewMux() *Mux { return &Mux{entries: map[string]*entry{}} }

// Use adds middleware around every handler, also those added before. The first
// is the outermost.
func (m *Mux) Use(middleware ...Middleware) { m.middleware = append(m.middleware, middleware...) }

// Handle sets fn as the handler of a class. The job's positional arguments are
// decoded into A. A struct takes them in the order of its exported fields: after a tag
// `job:"optional"` the field and those after it may have no argument, a last field `job:"rest"`
// takes all that are left, and `job:"-"` leaves a field out. []json.RawMessage takes the arguments
// as they are, a type with UnmarshalJSON the whole array, any other type exactly one argument.
// It panics if the class has a handler already, or if A cannot be decoded:
// both are mistakes of the program, found when it starts.
func Handle[A any](m *Mux, class string, fn func(context.Context, A) error, options ...Options) {
	m.HandleJob(class, withArgs(class, func(ctx context.Context, _ *queue.Job, args A) error {
		return fn(ctx, args)
	}), options...)
}

// HandleArgs sets fn as the handler of the class that A names: queue.Push with an A pushes its
// jobs. A is a struct, not a pointer to one. It panics as Handle does.
func HandleArgs[A queue.Args](m *Mux, fn func(context.Context, A) error, options ...Options) {
	var args A
	if t := reflect.TypeFor[A](); t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("worker: HandleArgs takes a struct, not %s", t))
	}
	Handle(m, args.JobClass(), fn, options...)
}

// withArgs is a handler that gets the job's arguments decoded.
func withArgs[A any](class string, fn func(context.Context, *queue.Job, A) error) Handler {
	d, err := envelope.NewDecoder[A]()
	if err != nil {
		panic("worker: " + err.Error())
	}
	return func(ctx context.Context, j *queue.Job) error {
		var args A
		_, raw := j.Unwrapped()
		if err := d.Decode(raw, &args); err != nil {
			return &ArgumentError{Class: class, Err: err}
		}
		return fn(ctx, j, args)
	}
}

// HandleJob sets a handler that reads the job by itself.
func (m *Mux) HandleJob(class string, h Handler, options ...Options) {
	if m.entries[class] != nil {
		panic(fmt.Sprintf("worker: class %q has a handler already", class))
	}
	e := &entry{class: class, handler: h}
	if len(options) > 0 {
		e.Options = options[0]
	}
	m.entries[class] = e
}

// Classes are the classes that have a handler, sorted.
func (m *Mux) Classes() []string {
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run runs one payload's handler with its middleware, and returns the handler's
// error. Nothing is retried or settled: it is for tests and for programs that run
// a job at once.
func (m *Mux) Run(ctx context.Context, payload string) error {
	j, err := envelope.ParseJob(payload)
	if err != nil {
		return err
	}
	class, _ := j.Unwrapped()
	e := m.wrapped()[class]
	if e == nil {
		return &UnknownClassError{class, m.Classes()}
	}
	c := &jobContext{Context: ctx, job: j}
	defer c.end()
	return call(c, e.handler, j)
}

// wrapped gives the entries with the middleware around their handlers.
func (m *Mux) wrapped() map[string]*entry {
	out := make(map[string]*entry, len(m.entries))
	for class, e := range m.entries {
		h := e.handler
		for _, mw := range slices.Backward(m.middleware) {
			h = mw(h)
		}
		out[class] = &entry{class, h, e.Options}
	}
	return out
}

// ArgumentError says that a job's arguments do not fit its handler. Ruby's name
// for it is stored with the failure.
type ArgumentError struct {
	Class string
	Err   error
}

func (e *ArgumentError) Error() string      { return fmt.Sprintf("%s: %v", e.Class, e.Err) }
func (e *ArgumentError) Unwrap() error      { return e.Err }
func (e *ArgumentError) ErrorClass() string { return "ArgumentError" }

// UnknownClassError says that no handler is registered. The job is retried: the
// program that knows the class may be about to be deployed.
type UnknownClassError struct {
	Class string
	Known []string
}

func (e *UnknownClassError) Error() string {
	known := strings.Join(e.Known, ", ")
	if known == "" {
		known = "no class at all"
	}
	return fmt.Sprintf("uninitialized constant %s: this worker knows %s", e.Class, known)
}

// ErrorClass is Ruby's name for it, so that dashboards group it.
func (e *UnknownClassError) ErrorClass() string { return "NameError" }
