package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"golang.org/x/sync/errgroup"
)

var (
	// ErrStuck is the error of a Run that gave up because as many handlers as Config.MaxStuck
	// ignored the end of their time. Only a new process gets their threads back.
	ErrStuck = errors.New("too many handlers are stuck")
	// ErrMemory is the error of a Run that gave up because the process had more than Config.MaxRSS
	// bytes of memory in RAM.
	ErrMemory = errors.New("too much memory")
	// ErrRanBefore is the error of a second Run: a Runner runs once.
	ErrRanBefore = errors.New("a Runner runs once: make a new one")
)

// Runner takes jobs from its queues and runs them. All its methods are safe for concurrent use.
type Runner struct {
	// New writes these; afterwards they do not change.
	store     *queue.Store
	config    Config // with defaults
	owners    *ownership
	outage    *outage
	ledger    *ledger
	processor *processor
	heartbeat *heartbeat
	historian *historian
	lateness  *lateness
	sifter    *sifter
	callbacks *callbacks
	bells     *doorbells
	capsules  []*capsuleRun

	began     atomic.Bool   // set by the first Run
	quietOnce sync.Once     // closes quieted
	quieted   chan struct{} // closed when no more jobs are to be taken
	stopOnce  sync.Once     // closes stopping
	stopping  chan struct{} // closed by the first Stop, or by Run when its context ends
	hurryOnce sync.Once     // closes hurry
	hurry     chan struct{} // closed by the second Stop
	running   chan struct{} // closed by Run when it takes jobs

	mu     sync.Mutex
	failed error // why the Runner gave up; giveUp writes it once, Run reads it at its end
}

// capsuleRun is a capsule with the loops that serve it.
type capsuleRun struct {
	pool    *pool
	settler *settler
	fetcher *fetcher
}

// New returns a Runner, and starts nothing. The error joins all problems of the configuration.
func New(store *queue.Store, c Config) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	r := &Runner{store: store, config: c, outage: newOutage(c.Logger),
		callbacks: newCallbacks(c.Logger), quieted: make(chan struct{}),
		stopping: make(chan struct{}), hurry: make(chan struct{}), running: make(chan struct{})}
	queues := c.queues()
	host := thisHost()
	host.Classes, host.Pool = c.Mux.Classes(), c.Pool
	r.owners = newOwnership(store, host, queues, c.Lease, r.outage, c.Logger)
	r.ledger = newLedger(c.Capsules, queues, store.Tokens, r.owners, r.reportStale)
	observer := r.callbacks.observer(c.Observer)
	r.bells = newDoorbells(r.ledger, r.outage, c.Logger, observer)
	r.processor = newProcessor(r, observer)
	for i := range c.Capsules {
		capsule, p := &c.Capsules[i], r.ledger.pools[i]
		s := &settler{store: store, pool: p, ledger: r.ledger, outage: r.outage, log: c.Logger,
			observer: observer}
		f := newFetcher(capsule, p, r.bells, r.outage, c.Logger, observer)
		r.capsules = append(r.capsules, &capsuleRun{p, s, f})
		r.bells.serve = append(r.bells.serve, f.names)
	}
	r.heartbeat = &heartbeat{runner: r, log: c.Logger, record: r.record(),
		asked: make(chan struct{}, 1)}
	r.historian = newHistorian(r.ledger, r.outage, c.Logger)
	r.lateness = newLateness(r.ledger, r.outage, c.Capsules, store.Waiting)
	r.sifter = &sifter{c.Source, r.ledger, r.outage}
	r.historian.drain, r.historian.rings = r.heartbeat.drainMetrics, historyKeys(store)
	r.owners.renewed, r.owners.obey = r.ledger.renewed, r.heartbeat.obey
	return r, nil
}

func newProcessor(r *Runner, observer Observer) *processor {
	c := &r.config
	return &processor{ledger: r.ledger, callbacks: r.callbacks, handlers: c.Mux.wrapped(),
		classes: c.Mux.Classes(),
		log:     c.Logger, jobLog: !c.NoJobLog, onError: c.ErrorHandlers, onDeath: c.DeathHandlers,
		env: &environment{store: r.store, quiet: r.quieted, timeout: c.Timeout,
			maxIteration: c.MaxIteration, logged: c.LogAttributes},
		unknown: c.Unknown, batches: c.AllowBatches, observer: observer,
		policy: policy{maxRetries: c.MaxRetries, failure: r.store.Failed,
			again: r.store.Enqueued, jitter: jitter, log: c.Logger},
		poison:     queue.Poison{Times: max(c.Poison.Times, 0), Within: c.Poison.Within},
		quarantine: &quarantine{ledger: r.ledger, log: c.Logger}, recent: new(recent)}
}

// record returns the parts of the process's record that do not change.
func (r *Runner) record() queue.ProcessRecord {
	h := r.owners.host
	p := queue.ProcessRecord{Hostname: h.Name, PID: os.Getpid(), Tag: r.config.Tag,
		Labels:  r.config.Labels,
		Version: r.config.Version, StartedAt: time.Now(), Concurrency: r.config.Threads()}
	for i := range r.config.Capsules {
		p.Capsules = append(p.Capsules, r.config.Capsules[i].record())
	}
	return p
}

// Run runs jobs until ctx ends or Stop is called. Then it takes no more jobs, gives the running
// jobs Config.Timeout to finish, ends the contexts of the others, and waits Config.Grace for them.
// It puts the jobs that have not ended by then back to the heads of their queues, sends all results
// to Redis, and returns.
//
// When it returns, everything that it started has ended, with two exceptions: handlers and
// callbacks that ignore their context, and calls to a Redis that hangs, which end by their
// timeouts. The error is nil after a stop. Otherwise it is ErrStuck or ErrMemory if the Runner gave
// up, ErrRanBefore if Run was called before, or says why the Runner could not start.
func (r *Runner) Run(ctx context.Context) error {
	if r.began.Swap(true) {
		return ErrRanBefore
	}
	root := context.WithoutCancel(ctx)
	jobCtx, abort := context.WithCancelCause(root)
	defer abort(ErrShutdown)
	r.owners.jobs = jobCtx
	if err := r.start(ctx); err != nil {
		return err
	}
	support, processors := newTier(root), new(errgroup.Group)
	settling, intake := newTier(root), newTier(root)
	r.heartbeat.replace = func(s *slot) { r.replace(processors, s) }
	support.run(r.owners.Run)
	recording := newTier(root)
	if !r.config.NoHistory {
		recording.run(r.historian.Run)
	}
	reporting := newTier(root)
	reporting.run(r.callbacks.Run, r.heartbeat.Run)
	for _, c := range r.capsules {
		settling.run(c.settler.Run)
		for _, s := range c.pool.slots() {
			r.employ(processors, c, s, false)
		}
		intake.run(c.fetcher.Run)
	}
	audit := &auditor{ledger: r.ledger, bells: r.bells, outage: r.outage, log: r.log()}
	settling.run(audit.Run) // also while the process is quiet
	intake.run(r.bells.Run, r.lateness.Run, r.sifter.Run)
	feeding := newTier(intake.ctx) // ends with the intake; Run waits for its calls at the end
	r.feed(feeding)
	close(r.running)

	r.await(ctx, intake)
	// The deadline counts from here: a Redis that hangs may delay the end of the intake.
	deadline := time.Now().Add(r.config.Timeout)
	err := intake.end()
	if !r.drain(processors, abort, deadline) {
		r.putBack()
	}
	audit.last(root)
	reporting.cancel()
	// The lease is kept until everything is settled.
	err = errors.Join(err, feeding.end(), settling.end(), reporting.end(), recording.end(),
		support.end())
	last, cancel := context.WithTimeout(root, leaveWithin)
	defer cancel()
	r.heartbeat.leave(last)
	r.log().Info("Bye!")
	return errors.Join(r.failure(), err)
}

// leaveWithin is how long a stop tries to tell Redis that the process ends.
const leaveWithin = time.Second

// start calls the startup hooks, and then takes the lease: no loop would extend it while a hook
// runs. An error of either stops the start.
func (r *Runner) start(ctx context.Context) error {
	for _, hook := range r.config.Hooks.Startup {
		if err := guardedHook(ctx, hook); err != nil {
			return fmt.Errorf("startup: %w", err)
		}
	}
	if err := r.owners.take(ctx); err != nil {
		return fmt.Errorf("cannot register with Redis: %w", err)
	}
	if err := r.sifter.start(ctx); err != nil {
		return fmt.Errorf("cannot read the lanes of the queues: %w", err)
	}
	return nil
}

// feed starts the loops that bring jobs into the queues.
func (r *Runner) feed(t *tier) {
	p := &poller{store: r.store, outage: r.outage, interval: r.config.PollInterval,
		fixed:   r.config.PollFixed,
		classes: r.config.Mux.Classes(), queues: r.owners.queues}
	rec := &reclaimer{store: r.store, owners: r.owners, outage: r.outage, log: r.log(),
		notify:   r.tellPoison,
		observer: r.processor.observer, poison: r.processor.poison}
	t.run(p.Run, rec.Run)
}

// employ starts a goroutine for a slot. done says that the slot has just run a job.
func (r *Runner) employ(processors *errgroup.Group, c *capsuleRun, s *slot, done bool) {
	processors.Go(func() error {
		return r.processor.work(s, c.pool, r.owners.context, done,
			func() { r.employ(processors, c, s, true) })
	})
}

// replace gives the capsule of a slot another slot, because the handler does not return.
func (r *Runner) replace(processors *errgroup.Group, s *slot) {
	for _, c := range r.capsules {
		if fresh := c.pool.replace(s); fresh != nil {
			r.employ(processors, c, fresh, false)
		}
	}
}

// Queues returns the queues that the Runner serves, in all capsules.
func (r *Runner) Queues() []string { return slices.Clone(r.owners.queues) }

// Running returns a channel that is closed when the Runner takes jobs.
func (r *Runner) Running() <-chan struct{} { return r.running }

// Dump writes the stacks of all goroutines to the log.
func (r *Runner) Dump() { r.log().Warn("stacks of all goroutines", "stacks", allStacks()) }

func (r *Runner) log() *slog.Logger { return r.config.Logger }

// slots returns the threads of all capsules.
func (r *Runner) slots() []*slot {
	var all []*slot
	for _, c := range r.capsules {
		all = append(all, c.pool.slots()...)
	}
	return all
}

// work returns the jobs that run now, as Sidekiq's Busy page shows them.
func (r *Runner) work() []queue.WorkRecord {
	var list []queue.WorkRecord
	for _, s := range r.slots() {
		if w, busy := s.work(); busy {
			list = append(list, w)
		}
	}
	return list
}

// reportStale logs that n results came after their jobs had been taken away.
func (r *Runner) reportStale(n int) {
	r.log().Error("jobs were finished here that had been taken away: they ran, or run, elsewhere "+
		"too", "jobs", n)
}

// tellPoison has the death handlers called for a job that the reclaimer found to be poison.
func (r *Runner) tellPoison(payload string) {
	j, err := envelope.ParseJob(payload)
	if err != nil {
		return
	}
	r.callbacks.later("death handler", func(ctx context.Context) error {
		r.callbacks.tellDeath(ctx, r.config.DeathHandlers, j, "",
			errors.New(j.String("error_message")))
		return nil
	})
}
