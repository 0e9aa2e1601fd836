// Package worker runs jobs: capsules of threads that take them from their
// queues in order, retries, schedules, heartbeats, and the recovery of what dead
// processes left. What is in Redis is package queue's business.
//
// It guarantees that a job that was acknowledged to its pusher runs at least
// once to an end, whatever process is killed when, and that it has one owner at
// a time. It does not guarantee that a job runs once: handlers must bear a
// second run.
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
	// ErrStuck is why a Runner gave up: too many handlers ignored the end of their
	// time. Only a new process gets their threads back.
	ErrStuck = errors.New("too many handlers are stuck")
	// ErrMemory is why a Runner gave up: the process uses more memory than
	// Config.MaxRSS.
	ErrMemory = errors.New("too much memory")
	// ErrRanBefore is why Run did nothing: a Runner runs once.
	ErrRanBefore = errors.New("a Runner runs once: make a new one")
)

// Runner owns the order of start and stop.
type Runner struct {
	store     *queue.Store
	config    Config
	owners    *ownership
	outage    *outage
	ledger    *ledger
	processor *processor
	heartbeat *heartbeat
	callbacks *callbacks
	bells     *doorbells
	capsules  []*capsuleRun

	began     atomic.Bool   // Run was called
	quietOnce sync.Once     //
	quieted   chan struct{} // closed when no more jobs are to be taken
	stopOnce  sync.Once
	stopping  chan struct{} // closed by the first Stop
	hurryOnce sync.Once
	hurry     chan struct{} // closed by the second
	running   chan struct{} // closed when jobs are taken

	mu     sync.Mutex
	failed error
}

// capsuleRun is a capsule at work.
type capsuleRun struct {
	pool    *pool
	settler *settler
	fetcher *fetcher
}

// New makes a Runner. The error joins all that is wrong with the configuration.
// It starts nothing.
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
	r.heartbeat = &heartbeat{runner: r, log: c.Logger, record: r.record()}
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
		quarantine: &quarantine{ledger: r.ledger, log: c.Logger}}
}

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

// Run works until ctx ends or Stop is called: then it takes no more jobs, gives
// running ones Timeout to finish, cancels them, puts what has not ended back at
// the head of its queue, settles the rest, and returns. When it returns,
// everything that it started has ended, except handlers and callbacks that ignore their
// context, and calls to a Redis that hangs, which end by their timeouts. It runs
// once. The error is nil after a stop, ErrStuck or ErrMemory if it gave up,
// ErrRanBefore, or why it could not start.
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
	telling := newTier(root)
	telling.run(r.callbacks.Run, r.heartbeat.Run)
	for _, c := range r.capsules {
		settling.run(c.settler.Run)
		for _, s := range c.pool.slots() {
			r.employ(processors, c, s, false)
		}
		intake.run(c.fetcher.Run)
	}
	audit := &auditor{ledger: r.ledger, bells: r.bells, outage: r.outage, log: r.log()}
	settling.run(audit.Run) // also while the process is quiet
	intake.run(r.bells.Run)
	feeding := newTier(intake.ctx) // nothing waits for its calls before the end
	r.feed(feeding)
	close(r.running)

	r.await(ctx, intake)
	// from here: a Redis that hangs may hold up the intake's end
	deadline := time.Now().Add(r.config.Timeout)
	err := intake.end()
	if !r.drain(processors, abort, deadline) {
		r.putBack()
	}
	audit.last(root)
	telling.cancel()
	// the lease is kept until all is settled
	err = errors.Join(err, feeding.end(), settling.end(), telling.end(), support.end())
	last, cancel := context.WithTimeout(root, leaveWithin)
	defer cancel()
	r.heartbeat.leave(last)
	r.log().Info("Bye!")
	return errors.Join(r.failure(), err)
}

// leaveWithin is how long a stop tries to tell Redis of its end.
const leaveWithin = time.Second

// start runs the startup hooks, and then takes the lease, which nobody would keep while a
// hook runs: an error of either is the reason not to start.
func (r *Runner) start(ctx context.Context) error {
	for _, hook := range r.config.Hooks.Startup {
		if err := guardedHook(ctx, hook); err != nil {
			return fmt.Errorf("startup: %w", err)
		}
	}
	if err := r.owners.take(ctx); err != nil {
		return fmt.Errorf("cannot register with Redis: %w", err)
	}
	return nil
}

// feed starts what brings jobs into the queues. It ends with the intake.
func (r *Runner) feed(t *tier) {
	p := &poller{store: r.store, outage: r.outage, interval: r.config.PollInterval,
		fixed:   r.config.PollFixed,
		classes: r.config.Mux.Classes(), queues: r.owners.queues}
	rec := &reclaimer{store: r.store, owners: r.owners, outage: r.outage, log: r.log(),
		notify:   r.tellPoison,
		observer: r.processor.observer, poison: r.processor.poison}
	t.run(p.Run, rec.Run)
}

// await blocks while jobs are taken, and, once quiet, until it is to stop.
func (r *Runner) await(ctx context.Context, intake *tier) {
	select {
	case <-r.quieted:
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.becomeQuiet()
	intake.cancel()
	r.hooks(ctx, "quiet hook", r.config.Hooks.Quiet)
	select {
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.stopOnce.Do(func() { close(r.stopping) }) // the end of ctx is a first Stop
	r.log().Info("Shutting down")
	r.hooks(ctx, "shutdown hook", r.config.Hooks.Shutdown)
}

// drain gives running jobs their time, up to the deadline, then cancels them, and
// reports whether all have ended.
func (r *Runner) drain(processors *errgroup.Group, abort context.CancelCauseFunc,
	deadline time.Time) bool {
	done := make(chan struct{})
	go func() { // ends with the last handler: the one goroutine that Run cannot promise to end
		processors.Wait()
		close(done)
	}()
	if n := len(r.work()); n > 0 {
		r.log().Info("Pausing to allow jobs to finish...", "busy", n, "timeout", r.config.Timeout)
	}
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-done:
		return true
	case <-timeout.C:
	case <-r.hurry:
	}
	if n := len(r.work()); n > 0 {
		r.log().Warn("Terminating busy threads", "busy", n)
	}
	abort(ErrShutdown)
	grace := time.NewTimer(r.config.Grace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

// employ gives a slot a goroutine.
func (r *Runner) employ(processors *errgroup.Group, c *capsuleRun, s *slot, done bool) {
	processors.Go(func() error {
		return r.processor.work(s, c.pool, r.owners.context, done,
			func() { r.employ(processors, c, s, true) })
	})
}

// replace gives the capsule of a slot whose handler does not return another one.
func (r *Runner) replace(processors *errgroup.Group, s *slot) {
	for _, c := range r.capsules {
		if fresh := c.pool.replace(s); fresh != nil {
			r.employ(processors, c, fresh, false)
		}
	}
}

// putBack puts jobs whose handlers ignore their end back into their queues: they may run
// twice. The settlers carry it out; what the handlers say later is ignored.
func (r *Runner) putBack() {
	if n := r.ledger.abandon(); n > 0 {
		r.log().Warn("Pushed jobs back to Redis: their handlers ignore the end of their context",
			"jobs", n)
	}
}

// Quiet takes no more jobs, for good; running ones go on, and so does the process, until it
// is told to stop. Before Run it has Run take none.
func (r *Runner) Quiet() {
	if r.becomeQuiet() {
		r.log().Info("Received TSTP, no longer accepting new work")
	}
}

// becomeQuiet ends the intake, and reports whether this call did.
func (r *Runner) becomeQuiet() (first bool) {
	r.quietOnce.Do(func() {
		r.ledger.quiet() // before: who sees it quiet must not see it take a job after
		r.heartbeat.quiet.Store(true)
		close(r.quieted)
		first = true
	})
	return first
}

// Stop stops; called again, it cancels running jobs without waiting for the
// timeout.
func (r *Runner) Stop() {
	first := false
	r.stopOnce.Do(func() { close(r.stopping); first = true })
	if !first {
		r.hurryOnce.Do(func() { close(r.hurry) })
	}
}

// Queues are those that the Runner serves, in all capsules.
func (r *Runner) Queues() []string { return slices.Clone(r.owners.queues) }

// Stopping is closed when the Runner was told to stop.
func (r *Runner) Stopping() <-chan struct{} { return r.stopping }

// Dump writes the stacks of all goroutines to the log.
func (r *Runner) Dump() { r.log().Warn("stacks of all goroutines", "stacks", allStacks()) }

// Running is closed when the Runner takes jobs.
func (r *Runner) Running() <-chan struct{} { return r.running }

func (r *Runner) log() *slog.Logger { return r.config.Logger }

func (r *Runner) slots() []*slot {
	var all []*slot
	for _, c := range r.capsules {
		all = append(all, c.pool.slots()...)
	}
	return all
}

// work is what runs now, as the Busy page shows it.
func (r *Runner) work() []queue.WorkRecord {
	var list []queue.WorkRecord
	for _, s := range r.slots() {
		if w, busy := s.work(); busy {
			list = append(list, w)
		}
	}
	return list
}

func (r *Runner) reportStale(n int) {
	r.log().Error("jobs were finished here that had been taken away: they ran, or run, elsewhere "+
		"too", "jobs", n)
}

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

// giveUp stops the worker, in good order, because only a new process can go on.
func (r *Runner) giveUp(err error) {
	r.mu.Lock()
	first := r.failed == nil
	if first {
		r.failed = err
	}
	r.mu.Unlock()
	if first {
		r.log().Error("gives up: a new process is needed", "err", err)
		r.Stop()
	}
}

func (r *Runner) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}
