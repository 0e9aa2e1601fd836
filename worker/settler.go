package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	// linger is how long a result waits, for others to share its round trip, or for the next fetch
	// to take it along. A crash in that time runs the finished job again.
	linger = 2 * time.Millisecond
	// settleWithin is how long a stop sends results while Redis confirms none.
	settleWithin = 2 * time.Second
	// settleRefused is the time after which results that Redis refused are sent again.
	settleRefused = time.Second
)

// settler sends the results of a capsule to Redis, in batches. The ledger keeps each result until
// Redis has confirmed it; while Redis does not answer, the settler sends it again.
type settler struct {
	// New writes these; afterwards they do not change.
	store    *queue.Store
	pool     *pool
	ledger   *ledger
	outage   *outage
	log      *slog.Logger
	observer Observer

	// Only Run reads and writes these.
	refusal error     // the last error with which Redis refused results
	toldAt  time.Time // when refused results were last logged
	failing time.Time // since when Redis has confirmed nothing; zero: it confirms
}

// Run sends results until ctx ends, and then the rest, as long as Redis confirms some.
func (s *settler) Run(ctx context.Context) error {
	calls := context.WithoutCancel(ctx) // the outcome of an interrupted call would be unknown
	again := time.NewTimer(settleRefused)
	defer again.Stop()
	for {
		select {
		case <-s.ledger.settle[s.pool.index]:
			if s.lingers(ctx) {
				continue
			}
		case <-again.C:
			again.Reset(settleRefused)
			if !s.retry() {
				continue
			}
		case <-ctx.Done():
			s.finish(context.WithoutCancel(ctx))
			return nil
		}
		s.flush(ctx, calls)
	}
}

// lingers waits for further results to share a round trip, unless some are urgent. It reports
// whether fetches take the results along.
func (s *settler) lingers(ctx context.Context) bool {
	before, urgent := s.look()
	if urgent {
		return false
	}
	sleep(ctx, linger)
	after, urgent := s.look()
	if after == before || urgent || ctx.Err() != nil {
		return false
	}
	notify(s.ledger.settle[s.pool.index])
	return true
}

// look returns how many fetches have taken results along, and whether results wait that no fetch
// takes.
func (s *settler) look() (carried uint64, urgent bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.ledger.carried[s.pool.index], s.ledger.process.Urgent(s.pool.index)
}

// retry puts refused results back among those to be sent, and reports whether there are any.
func (s *settler) retry() bool {
	l := s.ledger
	l.mu.Lock()
	n := l.process.Refused(s.pool.index)
	l.process.Retry(s.pool.index)
	l.mu.Unlock()
	if n > 0 && time.Since(s.toldAt) > time.Minute {
		s.toldAt = time.Now()
		s.log.Error("Redis refuses results, and they keep their threads until it accepts them: "+
			"rename or delete a key of the wrong type that they go to (retry, schedule, dead, "+
			"queues, or their queue), or allow this user to write it",
			"results", n, "err", s.refusal)
	}
	return n > 0
}

// flush sends results until none is left, or ctx ends. Its calls to Redis end with calls.
func (s *settler) flush(ctx, calls context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		sent, err := s.send(calls)
		if err != nil {
			if !sleep(ctx, wait.next()) {
				return
			}
			continue
		}
		if !sent {
			return
		}
		wait.reset()
	}
}

// finish sends the rest, until Redis has confirmed nothing for settleWithin.
func (s *settler) finish(ctx context.Context) {
	s.retry() // refused results get one more attempt
	since := s.failing
	if since.IsZero() {
		since = time.Now()
	}
	var wait backoff
	for time.Since(since) < settleWithin {
		last, cancel := context.WithDeadline(ctx, since.Add(settleWithin))
		sent, err := s.send(last)
		switch {
		case err != nil:
			sleep(last, wait.next())
		case !sent:
			cancel()
			return
		default:
			since = time.Now()
		}
		cancel()
	}
}

// send sends one batch, and reports whether there was one.
func (s *settler) send(ctx context.Context) (sent bool, err error) {
	l, ci := s.ledger, s.pool.index
	l.mu.Lock()
	batch := l.process.Batch(ci)
	l.mu.Unlock()
	if len(batch) == 0 {
		return false, nil
	}
	began := time.Now()
	results, err := s.store.Settle(ctx, batch)
	if s.observer != nil {
		s.observer.Settled(time.Since(began), len(batch), err)
	}
	if err != nil {
		s.failed(began, err)
		return true, err
	}
	failpoint.Hit("ack_reply")
	s.failing = time.Time{}
	s.outage.worked("settle")
	s.tell(batch, results)
	l.mu.Lock()
	stale := l.process.Confirmed(ci, results)
	l.left.settled(batch, results, stale)
	l.mu.Unlock()
	l.count(stale)
	notify(s.pool.freed) // their seats are free
	return true, nil
}

// failed notes that a batch, sent at began, was not confirmed.
func (s *settler) failed(began time.Time, err error) {
	if s.failing.IsZero() {
		s.failing = began
	}
	s.outage.failed("settle", err)
	rejected := redisdb.Rejected(err)
	if rejected {
		s.refusal = err
	}
	s.ledger.mu.Lock()
	s.ledger.process.Failed(s.pool.index, rejected)
	s.ledger.mu.Unlock()
}

// tell logs the jobs of which some effects failed.
func (s *settler) tell(batch []queue.Settlement, results []queue.Result) {
	for i, r := range results {
		if r != queue.Partly {
			continue
		}
		d, jid := batch[i].Delivery, ""
		if j, err := envelope.ParseJob(d.Raw); err == nil {
			jid = j.JID
		}
		s.log.Error("a job is settled, but not everything that it held was released", "jid", jid,
			"queue", d.Queue, "action", batch[i].Action, "err", batch[i].Failed)
	}
}
