package worker

import (
	"context"
	"log/slog"
	"time"
)

const (
	// auditEvery is the time between two audits when no reply is lost.
	auditEvery = 30 * time.Second
	// lostReplies is how long an audit waits after a lost reply, because several are often lost at
	// the same moment.
	lostReplies = 20 * time.Millisecond
)

// auditor compares the deliveries that Redis has for the process with the ledger, over all
// capsules. A delivery that the ledger does not know came with a lost reply: its job goes back to
// its queue. Fetches continue meanwhile, because the ledger knows the tokens that they may bring.
// The fields do not change.
type auditor struct {
	ledger *ledger
	bells  *doorbells
	outage *outage
	log    *slog.Logger
}

// Run audits until ctx ends.
func (a *auditor) Run(ctx context.Context) error {
	var wait backoff
	next := jittered(auditEvery)
	for {
		timer := time.NewTimer(next)
		select {
		case <-a.ledger.audit:
			timer.Stop()
			if !sleep(ctx, jittered(lostReplies)) {
				return nil
			}
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		next = jittered(auditEvery)
		if err := a.audit(context.WithoutCancel(ctx)); err != nil {
			a.outage.failed("audit", err)
			next = wait.next()
			continue
		}
		a.outage.worked("audit")
		wait.reset()
	}
}

// audit compares once.
func (a *auditor) audit(ctx context.Context) error {
	l := a.ledger
	owner := l.owners.current()
	l.mu.Lock()
	l.process.AuditBegins()
	l.mu.Unlock()
	delivered, landed, err := owner.InFlight(ctx, l.queues)
	l.mu.Lock()
	if err != nil {
		l.process.AuditFailed()
		l.mu.Unlock()
		return err
	}
	lost := l.process.Audited(owner, delivered, l.capsuleOf, landed)
	quiet := l.process.IsQuiet()
	l.mu.Unlock()
	if lost > 0 {
		a.log.Warn("found jobs whose delivery was lost on the way: they go back to their queues",
			"jobs", lost)
	}
	if lost > 0 || len(landed) > 0 {
		l.notifyAll()
	}
	if quiet && len(landed) > 0 {
		return a.bells.returnLanded(ctx) // no fetch will adopt them any more
	}
	return nil
}

// last audits once more during a stop, if a reply was lost since the last audit.
func (a *auditor) last(ctx context.Context) {
	a.ledger.mu.Lock()
	due := a.ledger.process.Audit()
	a.ledger.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	if err := a.audit(ctx); err != nil {
		a.outage.failed("audit", err)
	}
}

// capsuleOf returns the first capsule that serves a queue. The caller holds the mutex.
func (l *ledger) capsuleOf(name string) int {
	for i, q := range l.queues {
		if q == name {
			return l.process.Serving(i)
		}
	}
	return 0
}
