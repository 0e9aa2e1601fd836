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

// Handler runs a job. Its error decides, together with the job's options, the outcome of the job:
// nil means done; queue.Discard, Kill, RetryIn and Snooze say their outcome; any other error, and a
// panic, means a retry.
type Handler func(ctx context.Context, j *queue.Job) error

// Middleware wraps a handler: it returns a handler that calls next, or does not. The handler sees
// the context that the middleware passes on. Middleware cannot change the bytes of the job.
type Middleware func(next Handler) Handler

// Options say how the jobs of one class are treated. The fields retry, dead and backtrace of a
// job's payload take precedence. The zero Options are Sidekiq's defaults: 25 retries, then the dead
// set, no time limits, no backtrace.
type Options struct {
	// Retry is for jobs whose payload has no field retry. A number also counts for jobs whose field
	// is true. The default is Config.MaxRetries retries.
	Retry queue.RetryOption

	// RetryDelay returns the wait before the next attempt; count is 0 after the first failure. If
	// it is nil, or returns zero or less, the wait is Sidekiq's: count⁴+15 seconds. In both cases
	// jitter of less than 10×(count+1) seconds is added.
	RetryDelay func(count int, err error) time.Duration

	// Timeout is how long one run may take. Then its context ends with the cause ErrTimeout. A
	// handler that does not return within another second is reported as stuck. 0: no limit.
	Timeout time.Duration

	// Deadline is how old a job may become, counted from its creation. Then the context of its run
	// ends with the cause ErrDeadline. A job that fails after that, or has not started by then,
	// goes to the dead set without another run. 0: no limit.
	Deadline time.Duration

	// NoDead drops jobs whose retries are exhausted. By default they go to the dead set.
	NoDead bool

	// Backtrace is the number of lines of the stack that are kept with a failure, for jobs whose
	// payload has no field backtrace. 0 keeps none, -1 keeps all.
	Backtrace int
}

// Mux holds the handlers, one for each class, and the middleware around them. Fill it before New:
// a Runner does not see what is added later. It is not safe to fill it from several goroutines, or
// while Run runs.
type Mux struct {
	entries    map[string]*entry // by class
	middleware []Middleware      // the outermost first
}

// entry is a class with its handler.
type entry struct {
	class   string
	handler Handler
	Options
}

// NewMux returns an empty Mux.
func NewMux() *Mux { return &Mux{entries: map[string]*entry{}} }

// Use adds middleware around every handler, also around the handlers that were added before. The
// first middleware is the outermost.
func (m *Mux) Use(middleware ...Middleware) { m.middleware = append(m.middleware, middleware...) }

// Handle sets fn as the handler of a class. The positional arguments of the job are decoded into A:
//
//   - A struct takes them in the order of its exported fields. After a field with the tag
//     `job:"optional"` that field and all later ones may have no argument. A last field with the
//     tag `job:"rest"` takes all arguments that are left. The tag `job:"-"` leaves a field out.
//   - []json.RawMessage takes the arguments unchanged.
//   - A type with UnmarshalJSON takes the whole JSON array.
//   - Any other type takes exactly one argument.
//
// Arguments that do not fit are an *ArgumentError, and the job is retried. Handle uses the first of
// options, if there is one. It panics if the class has a handler already or if nothing can be
// decoded into A, because both are mistakes of the program that its start reveals.
func Handle[A any](m *Mux, class string, fn func(context.Context, A) error, options ...Options) {
	m.HandleJob(class, withArgs(class, func(ctx context.Context, _ *queue.Job, args A) error {
		return fn(ctx, args)
	}), options...)
}

// HandleArgs sets fn as the handler of the class that A.JobClass names: queue.Push with a value of
// A pushes its jobs. A is a struct, not a pointer to a struct. HandleArgs panics as Handle does.
func HandleArgs[A queue.Args](m *Mux, fn func(context.Context, A) error, options ...Options) {
	var args A
	if t := reflect.TypeFor[A](); t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("worker: HandleArgs takes a struct, not %s", t))
	}
	Handle(m, args.JobClass(), fn, options...)
}

// withArgs returns a handler that decodes the arguments of the job and calls fn.
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

// HandleJob sets a handler that reads the job itself. It uses the first of options, if there is
// one, and panics if the class has a handler already.
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

// Classes returns the classes that have a handler, sorted.
func (m *Mux) Classes() []string {
	names := make([]string, 0, len(m.entries))
	for name := range m.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Run calls the handler of one payload, with its middleware, and returns the handler's error. It
// retries and settles nothing: it is for tests, and for programs that run a job at once. Further
// errors: the payload is not a job, *UnknownClassError, and *PanicError if the handler panics.
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

// wrapped returns the entries with the middleware around their handlers.
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

// ArgumentError says that the arguments of a job do not fit its handler. The job is retried, and
// Sidekiq's web page shows Ruby's name of the error.
type ArgumentError struct {
	Class string // of the job
	Err   error  // why they do not fit
}

func (e *ArgumentError) Error() string { return fmt.Sprintf("%s: %v", e.Class, e.Err) }

// Unwrap returns why the arguments do not fit.
func (e *ArgumentError) Unwrap() error { return e.Err }

// ErrorClass is the name under which the failure is stored: Ruby's ArgumentError.
func (e *ArgumentError) ErrorClass() string { return "ArgumentError" }

// UnknownClassError says that no handler is registered for the class of a job. The job is retried:
// a program that knows the class may be about to be deployed.
type UnknownClassError struct {
	Class string   // of the job
	Known []string // the classes that have a handler
}

func (e *UnknownClassError) Error() string {
	known := strings.Join(e.Known, ", ")
	if known == "" {
		known = "no class at all"
	}
	return fmt.Sprintf("uninitialized constant %s: this worker knows %s", e.Class, known)
}

// ErrorClass is the name under which the failure is stored: Ruby's NameError.
func (e *UnknownClassError) ErrorClass() string { return "NameError" }
