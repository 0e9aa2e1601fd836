package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Config is everything that a Runner needs besides its Store. The zero value of every field but Mux
// and Capsules is a useful default.
type Config struct {
	// Mux has the handlers. It is required.
	Mux *Mux
	// Capsules are the queues and the threads that serve them, at least one.
	Capsules []Capsule

	// Timeout is how long running jobs get to finish after a stop. 0: 25 s.
	Timeout time.Duration
	// Grace is how long handlers get to return after cancellation. Then their jobs go back to their
	// queues. 0: 2 s.
	Grace time.Duration

	// MaxRetries is for jobs whose payload and class do not say how often they are retried. 0: 25.
	MaxRetries int
	// PollInterval is the average time after which some process of the fleet looks for jobs in the
	// retry and schedule sets that are due. 0: 5 s.
	PollInterval time.Duration
	// PollFixed is the average time after which this process looks, however many processes there
	// are. 0: PollInterval times the number of processes.
	PollFixed time.Duration
	// Lease is how long a process may be out of touch with Redis. Then others declare it dead and
	// take its jobs. From 2 s to 10 min; 0: 10 s.
	Lease time.Duration
	// Poison says how many crashes within how much time make a job poison, which goes to the dead
	// set. The zero value means 3 crashes within 72 h; Times < 0 means never.
	Poison queue.Poison
	// MaxStuck is how many handlers may ignore the end of their time before Run gives up with
	// ErrStuck. 0: as many as there are threads; < 0: Run never gives up.
	MaxStuck int
	// MaxRSS is how many bytes of memory the process may have in RAM. With more it drains, and Run
	// gives up with ErrMemory, so that a supervisor can start a new process. 0: no limit.
	MaxRSS int64

	// Unknown is the policy for jobs whose class has no handler here. The zero value retries them.
	Unknown Unknown
	// AllowBatches runs jobs of Sidekiq Pro's batches, although the batch will never complete. By
	// default they are refused, and retried.
	AllowBatches bool
	// MaxIteration is how long a job of HandleIterable runs before it lets other jobs run and goes
	// to the end of its queue. 0: no limit.
	MaxIteration time.Duration

	// Source returns what keeps jobs of some queues besides the queues' lists, for each Store that
	// the Runner serves: package lanes. nil: nothing does.
	Source func(*queue.Store) Source
	// Pool is how many connections to Postgres the handlers may open. Only `workerctl doctor` reads
	// it. 0: not known.
	Pool int
	// Tag, Labels and Version describe the process on Sidekiq's web page.
	Tag     string
	Labels  []string
	Version string

	// NoHistory leaves out the history of queues and classes, which `workerctl history` draws.
	NoHistory bool

	// Logger is for all lines of the worker. nil discards them.
	Logger *slog.Logger
	// NoJobLog leaves out the lines that each job begins and ends with.
	NoJobLog bool
	// LogAttributes are the fields of a payload that are on its job's lines. nil:
	// DefaultLogAttributes.
	LogAttributes []string
	// Hooks are called when the process starts, beats, becomes quiet and stops.
	Hooks Hooks
	// Observer is told about jobs, fetches, settlements and reclaims, for metrics. nil: none.
	Observer Observer
	// ErrorHandlers are called after every failure, in order.
	ErrorHandlers []ErrorHandler
	// DeathHandlers are called for every job that will not run again after a failure, in order.
	DeathHandlers []DeathHandler
}

// DefaultLogAttributes are the fields of a payload that are on its job's lines besides class, jid
// and queue, as in Sidekiq.
var DefaultLogAttributes = []string{"bid", "tags"}

// Hooks are functions that the Runner calls in the life of a process. Startup and Heartbeat hooks
// are called in the given order, Quiet and Shutdown hooks in reverse order. A hook that panics
// counts as one that returns an error.
type Hooks struct {
	// Startup runs before the first job. An error stops the start.
	Startup []func(context.Context) error
	// Heartbeat runs after the first record in Redis, and after Redis had forgotten the record. An
	// error is logged.
	Heartbeat []func(context.Context) error
	// Quiet runs when the process takes no more jobs. An error is logged. Each hook gets 5 s.
	Quiet []func(context.Context) error
	// Shutdown runs when the process begins to stop. An error is logged. Each hook gets 5 s.
	Shutdown []func(context.Context) error
}

// withDefaults returns c with defaults in the fields that are zero.
func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Timeout, 25*time.Second)
	set(&c.Grace, 2*time.Second)
	set(&c.PollInterval, 5*time.Second)
	set(&c.Lease, 10*time.Second)
	set(&c.Poison.Within, 72*time.Hour)
	if c.Poison.Times == 0 {
		c.Poison.Times = 3
	}
	if c.MaxRetries == 0 {
		c.MaxRetries = defaultMaxRetries
	}
	if c.LogAttributes == nil {
		c.LogAttributes = DefaultLogAttributes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Capsules = append([]Capsule(nil), c.Capsules...)
	for i := range c.Capsules {
		if c.Capsules[i].Name == "" {
			c.Capsules[i].Name = "default"
		}
	}
	if c.MaxStuck == 0 {
		c.MaxStuck = c.Threads()
	}
	return c
}

// Threads returns how many jobs can run at once. A pool of database connections needs as many.
func (c Config) Threads() int {
	n := 0
	for _, capsule := range c.Capsules {
		n += capsule.Concurrency
	}
	return n
}

// queues returns the queues of all capsules, each once, in order.
func (c Config) queues() (all []string) {
	for i := range c.Capsules {
		for _, name := range c.Capsules[i].names() {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// Validate returns all problems of the configuration in one error (see errors.Join), or nil.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	if c.Mux == nil {
		problems = append(problems, errors.New("no Mux: it has the handlers"))
	}
	if len(c.Capsules) == 0 {
		problems = append(problems, errors.New("no capsules: at least one set of queues and "+
			"threads is needed"))
	}
	names := map[string]bool{}
	for _, capsule := range c.Capsules {
		if c.Unknown.forward != "" && slices.Contains(capsule.names(), c.Unknown.forward) {
			problems = append(problems, fmt.Errorf("unknown classes are forwarded to the queue "+
				"%s, which this worker serves itself: they would come back for ever",
				c.Unknown.forward))
		}
		if names[capsule.Name] {
			problems = append(problems, fmt.Errorf("capsule %s is there twice", capsule.Name))
		}
		names[capsule.Name] = true
		problems = append(problems, capsule.validate())
	}
	return errors.Join(append(problems, c.validateTimes()...)...)
}

// validateTimes returns the problems of the durations.
func (c Config) validateTimes() (problems []error) {
	for name, d := range map[string]time.Duration{"timeout": c.Timeout,
		"poll interval": c.PollInterval, "grace": c.Grace, "longest iteration": c.MaxIteration} {
		if d < 0 {
			problems = append(problems, fmt.Errorf("the %s %v is negative", name, d))
		}
	}
	if c.Lease < 2*beatEvery {
		problems = append(problems, fmt.Errorf("the lease %v is too short: want at least %v, two "+
			"beats", c.Lease, 2*beatEvery))
	}
	if c.Lease > longestLease {
		problems = append(problems, fmt.Errorf("the lease %v is too long: want at most %v", c.Lease,
			longestLease))
	}
	return problems
}
