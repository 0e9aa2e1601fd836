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
	config    Config // with defaults
	queues    []string
	shards    []*shard   // at least one
	pools     []*pool    // by capsule: the threads, which run the jobs of all shards
	fetchers  []*fetcher // by capsule
	processor *processor
	callbacks *callbacks
	observer  Observer

	processors *errgroup.Group // of the threads; Run writes it

	began     atomic.Bool   // set by the first Run
	quietOnce sync.Once     // closes quieted
	quieted   chan struct{} // closed when no more jobs are to be taken
	stopOnce  sync.Once     // closes stopping
	stopping  chan struct{} // closed by the first Stop, or by Run when its context ends
	hurryOnce sync.Once     // closes hurry
	hurry     chan struct{} // closed by the second Stop
	running   chan struct{} // closed by Run when it takes jobs

	quiet atomic.Bool  // becomeQuiet sets it; the heartbeats, Status and the watchdog read it
	stuck atomic.Int64 // handlers that should have returned; the first heartbeat writes it

	mu     sync.Mutex
	failed error // why the Runner gave up; giveUp writes it once, Run reads it at its end
}

// New returns a Runner, and starts nothing. The error joins all problems of the configuration.
func New(store *queue.Store, c Config) (*Runner, error) {
	return NewSharded([]queue.Shard{{Store: store}}, c)
}

// NewSharded returns a Runner that serves the same queues in several shards, with the same threads.
// No job is taken from a lower queue unless, a few milliseconds ago, every shard that answers was
// seen without a job in a higher one. A shard that is down stops only its own jobs, and those that
// are not connected when Run begins are served as soon as they answer; at least one must be
// connected. The error joins all problems of the configuration.
func NewSharded(shards []queue.Shard, c Config) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(shards) == 0 {
		return nil, errors.New("no shards: at least one Redis is needed")
	}
	c = c.withDefaults()
	r := &Runner{config: c, queues: c.queues(), callbacks: newCallbacks(c.Logger),
		quieted:  make(chan struct{}),
		stopping: make(chan struct{}), hurry: make(chan struct{}), running: make(chan struct{})}
	r.observer = r.callbacks.observer(c.Observer)
	host := thisHost()
	host.Classes, host.Pool = c.Mux.Classes(), c.Pool
	var ledgers []*ledger
	for _, s := range shards {
		made := r.newShard(s, host, r.queues)
		r.shards, ledgers = append(r.shards, made), append(ledgers, made.ledger)
	}
	joinLedgers(ledgers)
	r.pools = ledgers[0].pools
	r.processor = newProcessor(r)
	for i := range c.Capsules {
		r.addCapsule(&c.Capsules[i], r.pools[i])
	}
	record := r.record(host) // one, with one time of start: by it people find the same process
	for _, s := range r.shards {
		s.heartbeat.record = record
	}
	return r, nil
}

// addCapsule adds the loops that serve a capsule.
func (r *Runner) addCapsule(c *Capsule, p *pool) {
	f := newFetcher(c, p, r.shards, r.config.Logger, r.observer)
	r.fetchers = append(r.fetchers, f)
	for _, s := range r.shards {
		s.settlers = append(s.settlers, &settler{store: s.store, pool: p, ledger: s.ledger,
			outage: s.outage, log: s.log, observer: r.observer})
		s.bells.serve = append(s.bells.serve, f.names)
	}
}

func newProcessor(r *Runner) *processor {
	c, store := &r.config, r.shards[0].store // all stores make payloads of the same form
	return &processor{callbacks: r.callbacks, handlers: c.Mux.wrapped(),
		classes: c.Mux.Classes(),
		log:     c.Logger, jobLog: !c.NoJobLog, onError: c.ErrorHandlers, onDeath: c.DeathHandlers,
		env: &environment{quiet: r.quieted, timeout: c.Timeout,
			maxIteration: c.MaxIteration, logged: c.LogAttributes},
		unknown: c.Unknown, batches: c.AllowBatches, observer: r.observer,
		policy: policy{maxRetries: c.MaxRetries, failure: store.Failed,
			again: store.Enqueued, jitter: jitter, log: c.Logger},
		poison:     queue.Poison{Times: max(c.Poison.Times, 0), Within: c.Poison.Within},
		quarantine: &quarantine{log: c.Logger}, recent: new(recent)}
}

// record returns the parts of the process's record that do not change.
func (r *Runner) record(h queue.Host) queue.ProcessRecord {
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
	for _, s := range r.shards {
		s.owners.jobs = jobCtx
	}
	r.processors = new(errgroup.Group)
	if err := r.start(ctx); err != nil {
		return err
	}
	support, recording, reporting := newTier(root), newTier(root), newTier(root)
	settling, intake := newTier(root), newTier(root)
	reporting.run(r.callbacks.Run)
	for _, s := range r.shards {
		support.run(s.after(s.owners.Run), s.connect)
		if !r.config.NoHistory {
			recording.run(s.after(s.historian.Run))
		}
		reporting.run(s.after(s.heartbeat.Run))
		for _, settler := range s.settlers {
			settling.run(s.after(settler.Run))
		}
		settling.run(s.after(s.auditor().Run)) // also while the process is quiet
		intake.run(s.after(s.bells.Run), s.after(s.lateness.Run), s.after(s.sifter.Run))
	}
	for i, p := range r.pools {
		for _, s := range p.slots() {
			r.employ(p, s, false)
		}
		intake.run(r.fetchers[i].Run)
	}
	feeding := newTier(intake.ctx) // ends with the intake; Run waits for its calls at the end
	r.feed(feeding)
	close(r.running)

	r.await(ctx, intake)
	// The deadline counts from here: a Redis that hangs may delay the end of the intake.
	deadline := time.Now().Add(r.config.Timeout)
	err := intake.end()
	if !r.drain(r.processors, abort, deadline) {
		r.putBack()
	}
	r.eachOpen(func(s *shard) { s.auditor().last(root) })
	reporting.cancel()
	// The lease is kept until everything is settled.
	err = errors.Join(err, feeding.end(), settling.end(), reporting.end(), recording.end(),
		support.end())
	last, cancel := context.WithTimeout(root, leaveWithin)
	defer cancel()
	r.eachOpen(func(s *shard) { s.heartbeat.leave(last) })
	r.log().Info("Bye!")
	return errors.Join(r.failure(), err)
}

// eachOpen calls fn for all open shards at once: one that does not answer must not use up the time
// of the others.
func (r *Runner) eachOpen(fn func(*shard)) {
	var calls sync.WaitGroup // ends before eachOpen returns
	for _, s := range r.shards {
		if s.isOpen() {
			calls.Go(func() { fn(s) })
		}
	}
	calls.Wait()
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
	return openAll(ctx, r.shards)
}

// feed starts the loops that bring jobs into the queues.
func (r *Runner) feed(t *tier) {
	for _, s := range r.shards {
		p := &poller{store: s.store, outage: s.outage, interval: r.config.PollInterval,
			fixed: r.config.PollFixed, classes: r.config.Mux.Classes(), queues: r.queues,
			fleet: &s.fleet}
		rec := &reclaimer{store: s.store, owners: s.owners, outage: s.outage, log: s.log,
			notify: r.tellPoison, observer: r.observer, poison: r.processor.poison}
		t.run(s.after(p.Run), s.after(rec.Run))
	}
}

// employ starts a goroutine for a slot. done says that the slot has just run a job.
func (r *Runner) employ(p *pool, s *slot, done bool) {
	r.processors.Go(func() error {
		return r.processor.work(s, p, done, func() { r.employ(p, s, true) })
	})
}

// replaceSlot gives the capsule of a slot another slot, because the handler does not return.
func (r *Runner) replaceSlot(s *slot) {
	for _, p := range r.pools {
		if fresh := p.replace(s); fresh != nil {
			r.employ(p, fresh, false)
		}
	}
}

// Queues returns the queues that the Runner serves, in all capsules.
func (r *Runner) Queues() []string { return slices.Clone(r.queues) }

// Running returns a channel that is closed when the Runner takes jobs.
func (r *Runner) Running() <-chan struct{} { return r.running }

// Dump writes the stacks of all goroutines to the log.
func (r *Runner) Dump() { r.log().Warn("stacks of all goroutines", "stacks", allStacks()) }

func (r *Runner) log() *slog.Logger { return r.config.Logger }

// slots returns the threads of all capsules.
func (r *Runner) slots() []*slot {
	var all []*slot
	for _, p := range r.pools {
		all = append(all, p.slots()...)
	}
	return all
}

// work returns the jobs that run now, as Sidekiq's Busy page shows them. With a store these are the
// jobs of that shard.
func (r *Runner) work(of *queue.Store) []queue.WorkRecord {
	if len(r.shards) == 1 {
		of = nil
	}
	var list []queue.WorkRecord
	for _, s := range r.slots() {
		if w, busy := s.work(of); busy {
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
