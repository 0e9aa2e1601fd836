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
	// linger is how long an acknowledgement waits for others to share its round trip, or for
	// the next fetch to take it along. It widens the window in which a crash runs a finished
	// job again.
	linger = 2 * time.Millisecond
	// settleWithin is how long a stop goes on settling without Redis confirming anything.
	settleWithin = 2 * time.Second
	// settleRefused is how often results are tried again that Redis refuses.
	settleRefused = time.Second
)

// settler takes the finished deliveries of a capsule out of flight, in batches. The ledger
// keeps each until Redis has confirmed it; while Redis is away the settler tries again.
type settler struct {
	store    *queue.Store
	pool     *pool
	ledger   *ledger
	outage   *outage
	log      *slog.Logger
	observer Observer

	// Only Run touches these.
	refusal error     // the last answer by which Redis refused results
	toldAt  time.Time // when refused results were last logged
	failing time.Time // since when Redis has confirmed nothing; zero: it confirms
}

// Run settles until ctx ends, and then what is left, as long as Redis takes it.
func (s *settler) Run(ctx context.Context) error {
	calls := context.WithoutCancel(ctx) // torn, the outcome of a call would be unknown
	again := time.NewTimer(settleRefused)
	defer again.Stop()
	for {
		select {
		case <-s.pool.settle:
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

// lingers waits for results to share a trip, unless some are urgent. It reports whether
// fetches come and go, and take the results along.
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
	ring(s.pool.settle)
	return true
}

// look says how often a fetch took results along, and whether some wait that none takes.
func (s *settler) look() (rides uint64, urgent bool) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return s.pool.rides, s.ledger.process.Urgent(s.pool.index)
}

// retry has refused results sent again, and reports whether there are any.
func (s *settler) retry() bool {
	l := s.ledger
	l.mu.Lock()
	n := l.process.Refused(s.pool.index)
	l.process.Retry(s.pool.index)
	l.mu.Unlock()
	if n > 0 && time.Since(s.toldAt) > time.Minute {
		s.toldAt = time.Now()
		s.log.Error("Redis refuses results, and they keep their threads until it takes them: "+
			"rename or delete a key of the wrong type that they go to (retry, schedule, dead, "+
			"queues, or their queue), or allow this user to write it",
			"results", n, "err", s.refusal)
	}
	return n > 0
}

// flush settles until nothing is left, or ctx ends. Its calls end with calls.
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

// finish settles what is left, until Redis confirms nothing for a while.
func (s *settler) finish(ctx context.Context) {
	s.retry() // once more
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

// send settles one batch, and reports whether there was one.
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
		if s.failing.IsZero() {
			s.failing = began
		}
		s.outage.failed("settle", err)
		rejected := redisdb.Rejected(err)
		if rejected {
			s.refusal = err
		}
		l.mu.Lock()
		l.process.Failed(ci, rejected)
		l.mu.Unlock()
		return true, err
	}
	failpoint.Hit("ack_reply")
	s.failing = time.Time{}
	s.outage.worked("settle")
	s.tell(batch, results)
	l.mu.Lock()
	stale := l.process.Confirmed(ci, results)
	l.mu.Unlock()
	l.count(stale)
	ring(s.pool.freed) // their seats are free
	return true, nil
}

// tell writes down which effects failed.
func (s *settler) tell(batch []queue.Settlement, results []queue.Result) {
	for i, r := range results {
		if r != queue.Partly {
			continue
		}
		d, jid := batch[i].Delivery, ""
		if j, err := envelope.ParseJob(d.Raw); err == nil {
			jid = j.JID
		}
		s.log.Error("a job is settled, but not all that it held was released", "jid", jid,
			"queue", d.Queue, "action", batch[i].Action, "err", batch[i].Failed)
	}
}
