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

// Config is all that a Runner needs beside its Redis. The zero value of every
// field but Mux and Capsules is a useful default.
type Config struct {
	Mux      *Mux
	Capsules []Capsule

	Timeout time.Duration // for running jobs to finish when it stops; 25 s
	Grace   time.Duration // then, for their contexts' end to be heard; 2 s

	MaxRetries int // of jobs that do not say; 25
	// between two looks at the retry and schedule sets, per process of the fleet; 5 s
	PollInterval time.Duration
	PollFixed    time.Duration // the average of this process instead, however many there are
	Lease        time.Duration // after which a silent process is dead; 10 s
	Poison       queue.Poison  // 3 times within 72 h; Times < 0: never
	// handlers that ignore their end before the process gives up; all threads. < 0: never
	MaxStuck int
	// bytes of resident memory at which it drains and gives up, for a new process to go on;
	// 0: no limit
	MaxRSS int64

	// what becomes of jobs whose class has no handler here; retried by default
	Unknown Unknown
	// run jobs of Sidekiq Pro's batches, though the batch will not hear of it
	AllowBatches bool
	MaxIteration time.Duration // after which an Iterable lets other jobs run; 0: no limit

	// connections that the handlers may open to Postgres, for workerctl doctor; 0: not said
	Pool    int
	Tag     string
	Labels  []string
	Version string // shown by Sidekiq's web page

	Logger   *slog.Logger // discards if nil
	NoJobLog bool         // no lines per job
	// fields of the payload on a job's lines; DefaultLogAttributes if nil
	LogAttributes []string
	Hooks         Hooks
	Observer      Observer // told what happens, for metrics; nobody if nil
	ErrorHandlers []ErrorHandler
	DeathHandlers []DeathHandler
}

// DefaultLogAttributes are the fields of a payload on its job's lines, beside
// class, jid and queue, as in Sidekiq.
var DefaultLogAttributes = []string{"bid", "tags"}

// Hooks are called at the turns of a process's life; those of Quiet and
// Shutdown in reverse order.
type Hooks struct {
	Startup []func(context.Context) error // before the first job; an error stops the start
	// on the first beat, and after Redis had forgotten the process
	Heartbeat []func(context.Context) error
	Quiet     []func(context.Context) error // when it takes no more jobs
	Shutdown  []func(context.Context) error // when it begins to stop
}

// withDefaults fills what was left zero.
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

// Threads is the number of jobs that can run at once: what a pool of database
// connections must hold.
func (c Config) Threads() int {
	n := 0
	for _, capsule := range c.Capsules {
		n += capsule.Concurrency
	}
	return n
}

// queues are those of all capsules, each once, in order.
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

// Validate joins all that is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	if c.Mux == nil {
		problems = append(problems, errors.New("no Mux: it knows the handlers"))
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
	return errors.Join(problems...)
}
