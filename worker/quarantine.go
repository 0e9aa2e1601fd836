package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/internal/redisdb"
)

const (
	// turnWithin is how long a suspect waits for its turn to run alone. Then it runs beside
	// the others, and a crash is not blamed on it alone.
	turnWithin = 5 * time.Second
	// emptyWithin is how long the gate is closed for running jobs to end. Jobs that run longer
	// must not keep all others from starting.
	emptyWithin = time.Second
	// aloneFor is how long a suspect has the process to itself.
	aloneFor = time.Second
	// aloneEvery is how often a suspect looks whether it is its turn.
	aloneEvery = 5 * time.Millisecond
)

// quarantine gives each suspect a turn to run alone: a job that was in flight at so many
// crashes that one more would make it poison. While it is alone Redis knows it, so that a
// crash is blamed on nobody else. Redis also knows the suspects that run beside others: for
// those that still wait, a crash does not count. All is bounded: the gate is closed for two
// seconds at most, then open for as long as it was closed, and a suspect waits for at most five.
type quarantine struct {
	ledger *ledger
	log    *slog.Logger

	// Guarded by the ledger's mutex.
	closedAt time.Time // when the gate was closed last
	openTill time.Time // until when it stays open
}

// run calls fn for a suspect, alone if it gets a turn. It returns false without calling fn if
// ctx ends before: the job has not started.
func (q *quarantine) run(ctx context.Context, e *protocol.Entry, fn func()) bool {
	alone, ok := q.turn(ctx, e)
	if !ok {
		return false
	}
	if !alone {
		if !q.mark(ctx, e) {
			return false
		}
		q.log.Warn("a suspect does not get the process to itself: it runs beside other jobs",
			"within", turnWithin)
		fn()
		return true
	}
	done, opened := make(chan struct{}), make(chan struct{})
	go func() { // opens the gate when fn has returned, or after aloneFor
		defer close(opened)
		timer := time.NewTimer(aloneFor)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C: // it runs on, beside others
			q.mark(q.ledger.owners.jobs, e)
		}
		q.open(ctx, e)
	}()
	defer func() { // also after a handler that calls runtime.Goexit
		close(done)
		<-opened
	}()
	fn()
	return true
}

// turn waits until the suspect may run, and says whether it is alone. ok is false if ctx
// ended first.
func (q *quarantine) turn(ctx context.Context, e *protocol.Entry) (alone, ok bool) {
	q.locked(func(p *protocol.Process) { p.Wait() })
	limit, entered := time.Now().Add(turnWithin), false
	for {
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			if entered {
				q.open(ctx, e)
			} else {
				q.locked(func(p *protocol.Process) { p.Leave() })
			}
			return false, false
		case !entered:
			entered = q.enter(e, now)
		case q.alone(e):
			if e.Owner.Alone(ctx, &e.Delivery) == nil {
				return true, true
			}
			q.open(ctx, e)
			return false, true
		case now.Sub(q.closed()) > emptyWithin:
			q.open(ctx, e)
			return false, true
		}
		if !entered && now.After(limit) && q.beside() {
			return false, true
		}
		sleep(ctx, aloneEvery)
	}
}

func (q *quarantine) locked(fn func(*protocol.Process)) {
	q.ledger.mu.Lock()
	defer q.ledger.mu.Unlock()
	fn(q.ledger.process)
}

func (q *quarantine) enter(e *protocol.Entry, now time.Time) (entered bool) {
	q.locked(func(p *protocol.Process) {
		if now.Before(q.openTill) {
			return
		}
		if entered = p.Enter(e); entered {
			q.closedAt = now
		}
	})
	return entered
}

func (q *quarantine) closed() (at time.Time) {
	q.locked(func(*protocol.Process) { at = q.closedAt })
	return at
}

func (q *quarantine) alone(e *protocol.Entry) (alone bool) {
	q.locked(func(p *protocol.Process) { alone = p.Alone(e) })
	return alone
}

func (q *quarantine) beside() (ok bool) {
	q.locked(func(p *protocol.Process) { ok = p.Beside() })
	return ok
}

// mark tells Redis that a suspect runs beside others from now on: without that, a crash does
// not count for it. It returns false if ctx or the identity ended before Redis knew.
func (q *quarantine) mark(ctx context.Context, e *protocol.Entry) bool {
	calls := context.WithoutCancel(ctx)
	var wait backoff
	for ctx.Err() == nil && q.ledger.owners.current() == e.Owner {
		err := e.Owner.Beside(calls, &e.Delivery)
		// After a refusal Redis counts no crash for this job either.
		if err == nil || redisdb.Rejected(err) {
			return true
		}
		sleep(ctx, wait.next())
	}
	return false
}

// open lets others start again. Redis is told first: a crash of theirs must not be blamed on
// the suspect. While Redis is away nothing starts, until the identity is another or a stop
// ends all. The end of the lease is not enough: it can come back, with the mark still there.
func (q *quarantine) open(ctx context.Context, e *protocol.Entry) {
	calls := context.WithoutCancel(ctx)
	var wait backoff
	for q.ledger.owners.jobs.Err() == nil && q.ledger.owners.current() == e.Owner {
		err := e.Owner.Alone(calls, nil)
		if err == nil || redisdb.Rejected(err) { // what Redis refuses to write it refused before
			break
		}
		sleep(calls, wait.next())
	}
	q.locked(func(p *protocol.Process) {
		p.Open(e)
		q.openTill = time.Now().Add(time.Since(q.closedAt))
	})
	q.ledger.everybody()
}
