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
	"time"

	"github.com/kyujobs/kyu/queue"
	"golang.org/x/sync/errgroup"
)

var (
	// ErrStuck is why a Runner gave up: too many handlers ignored the end of their
	// time. Only a new process gets their threads back.
	ErrStuck = errors.New("too many handlers are stuck")
	// ErrMemory is why a Runner gave up: the process uses more memory than
	// Config.MaxRSS.
	ErrMemory = errors.New("too much memory")
)

// Runner owns the order of start and stop.
type Runner struct {
	store     *queue.Store
	config    Config
	owners    *ownership
	outage    *outage
	processor *processor
	heartbeat *heartbeat
	capsules  []*capsuleRun

	quiet     context.CancelFunc // ends the intake
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
		stopping: make(chan struct{}), hurry: make(chan struct{}), running: make(chan struct{})}
	var queues []string
	for _, capsule := range c.Capsules {
		for _, name := range capsule.names() {
			if !slices.Contains(queues, name) {
				queues = append(queues, name)
			}
		}
	}
	host := thisHost()
	host.Classes, host.Pool = c.Mux.Classes(), c.Pool
	r.owners = newOwnership(store, host, queues, c.Lease)
	r.processor = &processor{handlers: c.Mux.wrapped(), classes: c.Mux.Classes(), log: c.Logger, jobLog: !c.NoJobLog,
		onError: c.ErrorHandlers, onDeath: c.DeathHandlers,
		env:     &environment{store: store, timeout: c.Timeout, maxIteration: c.MaxIteration, logged: c.LogAttributes},
		unknown: c.Unknown, batches: c.AllowBatches, observer: c.Observer,
		policy: policy{maxRetries: c.MaxRetries, failure: store.FailurePatch, again: store.Requeued, jitter: jitter, log: c.Logger}}
	r.processor.poison = queue.Poison{Times: max(c.Poison.Times, 0), Within: c.Poison.Within}
	q := &quarantine{log: c.Logger}
	r.processor.quarantine = q
	for i := range c.Capsules {
		capsule := &c.Capsules[i]
		p, s := newPool(capsule.Name, capsule.Concurrency), newSettler(store, r.outage)
		s.report, s.observer = r.reportStale, c.Observer
		f := newFetcher(capsule, p, s, r.owners, r.outage, c.Logger)
		f.observer, f.quarantine = c.Observer, q
		r.capsules = append(r.capsules, &capsuleRun{p, s, f})
	}
	q.capsules = r.capsules
	r.heartbeat = &heartbeat{runner: r, log: c.Logger, record: r.record()}
	return r, nil
}

func (r *Runner) record() queue.ProcessRecord {
	h := r.owners.host
	p := queue.ProcessRecord{Hostname: h.Name, PID: os.Getpid(), Tag: r.config.Tag, Labels: r.config.Labels,
		Version: r.config.Version, StartedAt: time.Now(), Concurrency: r.config.Threads()}
	for i := range r.config.Capsules {
		p.Capsules = append(p.Capsules, r.config.Capsules[i].record())
	}
	return p
}

// Run works until ctx ends or Stop is called: then it takes no more jobs, gives
// running ones Timeout to finish, cancels them, puts what has not ended back at
// the head of its queue, settles the rest, and returns. When it returns,
// everything that it started has ended, except handlers that ignore their
// context, and calls to a Redis that hangs, which end by their timeouts. It runs
// once. The error is nil after a stop, ErrStuck if it gave up, or why it could not
// start.
func (r *Runner) Run(ctx context.Context) error {
	root := context.WithoutCancel(ctx)
	intakeCtx, quiet := context.WithCancel(root)
	jobCtx, abort := context.WithCancelCause(root)
	supportCtx, release := context.WithCancel(root)
	defer func() { quiet(); abort(ErrShutdown); release() }()
	r.owners.jobs = jobCtx
	r.processor.env.quiet = intakeCtx.Done()
	r.mu.Lock()
	r.quiet = quiet
	r.mu.Unlock()

	if err := r.start(ctx); err != nil {
		return err
	}
	support, processors, intake := new(errgroup.Group), new(errgroup.Group), new(errgroup.Group)
	r.heartbeat.replace = func(s *slot) { r.replace(processors, s) }
	support.Go(func() error { return r.heartbeat.Run(supportCtx) })
	for _, c := range r.capsules {
		support.Go(func() error { return c.settler.Run(supportCtx) })
		for _, s := range c.pool.slots() {
			r.employ(processors, c, s, false)
		}
		intake.Go(func() error { return c.fetcher.Run(intakeCtx) })
	}
	r.helpers(intake, intakeCtx)
	close(r.running)

	r.await(ctx, intakeCtx)
	deadline := time.Now().Add(r.config.Timeout) // from here: a Redis that hangs may hold up the intake's end
	quiet()
	err := intake.Wait()
	if !r.drain(processors, abort, deadline) {
		r.putBack()
	}
	release()
	r.log().Info("Bye!")
	return errors.Join(r.failure(), err, support.Wait())
}

// start takes the lease and runs the startup hooks: an error of either is the
// reason not to start.
func (r *Runner) start(ctx context.Context) error {
	if err := r.owners.take(ctx); err != nil {
		return fmt.Errorf("cannot register with Redis: %w", err)
	}
	for _, hook := range r.config.Hooks.Startup {
		if err := hook(ctx); err != nil {
			r.owners.current().Leave(context.WithoutCancel(ctx), r.owners.host, r.owners.queues)
			return fmt.Errorf("startup: %w", err)
		}
	}
	return nil
}

// helpers are the rest of the intake: what brings jobs into the queues.
func (r *Runner) helpers(intake *errgroup.Group, ctx context.Context) {
	p := &poller{store: r.store, outage: r.outage, interval: r.config.PollInterval, fixed: r.config.PollFixed,
		classes: r.config.Mux.Classes(), queues: r.owners.queues}
	rec := &reclaimer{store: r.store, owners: r.owners, outage: r.outage, log: r.log(), notify: r.tellPoison, observer: r.config.Observer,
		poison: r.processor.poison}
	intake.Go(func() error { return p.Run(ctx) })
	intake.Go(func() error { return rec.Run(ctx) })
}

// await blocks while jobs are taken, and, once quiet, until it is to stop.
func (r *Runner) await(ctx, intake context.Context) {
	hooks := r.config.Hooks
	select {
	case <-intake.Done(): // quiet
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.mu.Lock()
	r.quiet()
	r.mu.Unlock()
	r.heartbeat.quiet.Store(true)
	reversed := slices.Clone(hooks.Quiet)
	slices.Reverse(reversed)
	hooks.run(context.WithoutCancel(ctx), r.log(), "quiet", reversed)
	select {
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.stopOnce.Do(func() { close(r.stopping) }) // the end of ctx is a first Stop
	r.log().Info("Shutting down")
	reversed = slices.Clone(hooks.Shutdown)
	slices.Reverse(reversed)
	hooks.run(context.WithoutCancel(ctx), r.log(), "shutdown", reversed)
}

// drain gives running jobs their time, up to the deadline, then cancels them, and
// reports whether all have ended.
func (r *Runner) drain(processors *errgroup.Group, abort context.CancelCauseFunc, deadline time.Time) bool {
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
		return r.processor.run(s, c.pool, c.settler, r.owners.context, done, func() { r.employ(processors, c, s, true) })
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

// putBack puts jobs whose handlers ignore their end back into their queues: they
// may run twice. The settlers carry it out; what the handlers say later is stale.
func (r *Runner) putBack() {
	n := 0
	for _, c := range r.capsules {
		for _, d := range c.pool.held() {
			c.settler.add(queue.Settlement{Delivery: d, Action: queue.Requeue})
			n++
		}
	}
	r.log().Warn("Pushed jobs back to Redis: their handlers ignore the end of their context", "jobs", n)
}

// Quiet takes no more jobs, for good; running ones go on, and so does the
// process, until it is told to stop.
func (r *Runner) Quiet() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet == nil {
		return // not running yet
	}
	r.quiet() // first: who sees it quiet must not see it take a job after
	if !r.heartbeat.quiet.Swap(true) {
		r.log().Info("Received TSTP, no longer accepting new work")
	}
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
		s.mu.Lock()
		if s.delivery != nil && !s.started.IsZero() {
			list = append(list, queue.WorkRecord{TID: s.tid, Queue: s.delivery.Queue, Payload: s.delivery.Raw, RunAt: s.started})
		}
		s.mu.Unlock()
	}
	return list
}

func (r *Runner) setPaused(names []string) {
	for _, c := range r.capsules {
		select {
		case <-c.fetcher.pauses: // an older word that was not heard yet
		default:
		}
		c.fetcher.pauses <- names
	}
}

func (r *Runner) reportStale(n int) {
	r.log().Error("jobs were finished here that had been taken away: they ran, or run, elsewhere too", "jobs", n)
}

func (r *Runner) tellPoison(payload string) {
	if j, err := queue.ParseJob(payload); err == nil {
		r.processor.tellDeath(context.Background(), j, outcome{}, errors.New(j.String("error_message")))
	}
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
