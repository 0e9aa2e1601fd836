package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// shard is one Redis of the process: the identity and the lease that the process has there, the
// deliveries from there, and the loops that serve it. Its jobs run on the threads of the process,
// which all shards share. While a shard does not answer, its jobs wait, and nothing else does.
// Runner.newShard writes the fields; afterwards they do not change.
type shard struct {
	name      string // "" if there is one Redis only
	store     *queue.Store
	owners    *ownership
	outage    *outage
	ledger    *ledger
	bells     *doorbells
	settlers  []*settler // by capsule
	heartbeat *heartbeat
	historian *historian
	lateness  *lateness
	sifter    *sifter
	log       *slog.Logger

	fleet  atomic.Int64  // processes of the fleet, when the poller last counted; 0: not known
	opened chan struct{} // closed when the process has a lease there; the loops wait for it
}

// newShard returns the runtime of a shard. Its ledger has pools of its own, until joinLedgers.
func (r *Runner) newShard(of queue.Shard, host queue.Host, queues []string) *shard {
	c, log := &r.config, r.config.Logger
	if of.Name != "" {
		log = log.With("shard", of.Name)
	}
	s := &shard{name: of.Name, store: of.Store, outage: newOutage(log), log: log,
		opened: make(chan struct{})}
	s.owners = newOwnership(of.Store, host, queues, c.Lease, s.outage, log)
	s.ledger = newLedger(c.Capsules, queues, of.Store.Tokens, s.owners, r.reportStale)
	s.bells = newDoorbells(s.ledger, s.outage, log, r.observer)
	s.heartbeat = &heartbeat{runner: r, shard: s, log: log, asked: make(chan struct{}, 1)}
	s.historian = newHistorian(s.ledger, s.outage, log)
	s.lateness = newLateness(s.ledger, s.outage, c.Capsules, of.Store.Waiting)
	s.sifter = &sifter{nil, s.ledger, s.outage}
	if c.Source != nil {
		s.sifter.source = c.Source(of.Store)
	}
	s.historian.drain, s.historian.rings = s.heartbeat.drainMetrics, historyKeys(of.Store)
	s.owners.renewed, s.owners.obey = s.ledger.renewed, s.heartbeat.obey
	return s
}

// open takes the lease, after which the loops of the shard run.
func (s *shard) open(ctx context.Context) error {
	if err := s.owners.take(ctx); err != nil {
		return s.explain(fmt.Errorf("cannot register with Redis: %w", err))
	}
	if err := s.sifter.start(ctx); err != nil {
		return s.explain(fmt.Errorf("cannot read the lanes of the queues: %w", err))
	}
	close(s.opened)
	return nil
}

// explain puts the name of the shard before an error, if it has a name.
func (s *shard) explain(err error) error {
	if s.name == "" {
		return err
	}
	return fmt.Errorf("shard %s: %w", s.name, err)
}

// isOpen reports whether the process has had a lease in the shard.
func (s *shard) isOpen() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// auditor returns what compares the shard with its ledger.
func (s *shard) auditor() *auditor {
	return &auditor{ledger: s.ledger, bells: s.bells, outage: s.outage, log: s.log}
}

// connectWithin is how long one attempt to connect to a shard may take.
const connectWithin = 5 * time.Second

// connect opens a shard that was away when the process started, as soon as it answers. It returns
// when the shard is open, or when ctx ends.
func (s *shard) connect(ctx context.Context) error {
	var wait backoff
	for !s.isOpen() {
		if err := s.tryOpen(ctx); err != nil && ctx.Err() == nil {
			s.outage.failed("connect", err)
		} else if err == nil {
			s.outage.worked("connect")
			s.log.Info("the shard answers: its jobs are served")
			return nil
		}
		if !sleep(ctx, wait.next()) {
			return nil
		}
	}
	return nil
}

func (s *shard) tryOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	if !s.store.Connected() {
		if err := s.store.Connect(ctx); err != nil {
			return err
		}
	}
	return s.open(ctx)
}

// after returns a loop that begins when the shard is open, and does nothing if ctx ends before.
func (s *shard) after(loop func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-s.opened:
			return loop(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// openAll opens the shards that answer. At least one must, and an error that would come again at
// the next start stops this one.
func openAll(ctx context.Context, shards []*shard) error {
	var errs []error
	opened := false
	for _, s := range shards {
		err := errors.New("it did not answer")
		if s.store.Connected() {
			err = s.open(ctx)
		}
		switch {
		case err == nil:
			opened = true
		case len(shards) == 1 || redisdb.Settled(err):
			return err
		default:
			errs = append(errs, err)
			s.outage.failed("connect", err)
		}
	}
	if !opened {
		return errors.Join(errs...)
	}
	return nil
}
