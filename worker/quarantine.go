package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/internal/redisdb"
)

const (
	// turnWithin is how long a suspect waits for its turn to run alone. Then it runs beside other
	// jobs, and a crash counts for more jobs than this one.
	turnWithin = 5 * time.Second
	// emptyWithin is how long the gate stays closed for running jobs to end. With jobs that run
	// longer, it opens again, so that other jobs can start.
	emptyWithin = time.Second
	// aloneFor is how long a suspect has the process to itself.
	aloneFor = time.Second
	// openWithin is how long the gate stays closed for a shard that does not answer.
	openWithin = time.Second
	// aloneEvery is the time between two looks of a suspect whether it is its turn.
	aloneEvery = 5 * time.Millisecond
)

// quarantine gives each suspect a turn to run alone. A suspect is a job that was in flight at so
// many crashes that one more would make it poison. While it runs alone, a mark in Redis says so,
// and a crash counts for no other job. Other marks name the suspects that run beside other jobs; a
// crash does not count for a suspect that still waits. All times are bounded: the gate is closed
// for at most 2 s, then open for as long as it was closed, and a suspect waits for at most 5 s. Its
// methods run on the threads of the suspects.
type quarantine struct {
	log *slog.Logger

	// The threads of suspects read and write these; the mutex of the ledgers guards them.
	closedAt time.Time // when the gate was last closed
	openTill time.Time // until when it must stay open
}

// run calls fn for a suspect of a ledger, alone if it gets a turn. If ctx ends before its turn, run
// returns false and does not call fn.
func (q *quarantine) run(ctx context.Context, l *ledger, e *protocol.Entry, fn func()) bool {
	alone, ok := q.turn(ctx, l, e)
	if !ok {
		return false
	}
	if !alone {
		if !q.mark(ctx, l, e) {
			return false
		}
		q.log.Warn("a suspect got no turn to run alone: it runs beside other jobs",
			"within", logSeconds(turnWithin))
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
		case <-timer.C: // the suspect goes on beside other jobs
			q.mark(l.owners.jobs, l, e)
		}
		q.open(ctx, l, e)
	}()
	defer func() { // deferred, because a handler may call runtime.Goexit
		close(done)
		<-opened
	}()
	fn()
	return true
}

// turn waits until the suspect may run, and reports whether it is alone. ok is false if ctx ended
// first.
func (q *quarantine) turn(ctx context.Context, l *ledger, e *protocol.Entry) (alone, ok bool) {
	l.locked(func(p *protocol.Process) { p.Wait() })
	limit, entered := time.Now().Add(turnWithin), false
	for {
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			if entered {
				q.open(ctx, l, e)
			} else {
				l.locked(func(p *protocol.Process) { p.Leave() })
			}
			return false, false
		case !entered:
			entered = q.enter(l, e, now)
		case l.alone(e):
			if e.Owner.Alone(ctx, &e.Delivery) == nil {
				return true, true
			}
			q.open(ctx, l, e)
			return false, true
		case now.Sub(q.closed(l)) > emptyWithin:
			q.open(ctx, l, e)
			return false, true
		}
		if !entered && now.After(limit) && l.beside() {
			return false, true
		}
		sleep(ctx, aloneEvery)
	}
}

// enter closes the gate for a suspect, unless the gate must stay open or another suspect is inside.
func (q *quarantine) enter(l *ledger, e *protocol.Entry, now time.Time) (entered bool) {
	l.locked(func(p *protocol.Process) {
		if now.Before(q.openTill) {
			return
		}
		if entered = p.Enter(e); entered {
			q.closedAt = now
		}
	})
	return entered
}

// closed returns when the gate was last closed.
func (q *quarantine) closed(l *ledger) (at time.Time) {
	l.locked(func(*protocol.Process) { at = q.closedAt })
	return at
}

// mark writes to Redis that a suspect runs beside other jobs from now on. Without the mark a crash
// would not count for it. mark returns false if ctx or the identity ended before Redis had it.
func (q *quarantine) mark(ctx context.Context, l *ledger, e *protocol.Entry) bool {
	calls := context.WithoutCancel(ctx)
	var wait backoff
	for ctx.Err() == nil && l.owners.current() == e.Owner {
		err := e.Owner.Beside(calls, &e.Delivery)
		// If Redis refuses the mark, no crash will count for this job.
		if err == nil || redisdb.Rejected(err) {
			return true
		}
		sleep(ctx, wait.next())
	}
	return false
}

// open lets other jobs start again. First it removes the mark in Redis that the suspect runs alone,
// because a crash caused by another job must not count for the suspect only. While Redis does not
// answer, nothing starts, until the identity changes or a stop cancels all jobs. A lapse of the
// lease does not open the gate: the lease can come back while the mark is still there. With several
// shards the gate opens after openWithin in any case: a shard that is down must not stop the
// others.
func (q *quarantine) open(ctx context.Context, l *ledger, e *protocol.Entry) {
	calls := context.WithoutCancel(ctx)
	var wait backoff
	since := time.Now()
	for l.owners.jobs.Err() == nil && l.owners.current() == e.Owner {
		if len(l.pools[0].ledgers) > 1 && time.Since(since) > openWithin {
			break
		}
		err := e.Owner.Alone(calls, nil)
		if err == nil || redisdb.Rejected(err) { // if Redis refuses this, it refused the mark too
			break
		}
		sleep(calls, wait.next())
	}
	l.locked(func(p *protocol.Process) {
		p.Open(e)
		q.openTill = time.Now().Add(time.Since(q.closedAt))
	})
	l.notifyAll()
}
