package worker

import (
	"context"
	"log/slog"
	"time"
)

// auditEvery is how often Redis is asked whether it holds deliveries for this process that
// the ledger does not know, beside after every lost reply.
const auditEvery = 30 * time.Second

// auditor compares what Redis holds for the process with its ledger, over all capsules, and
// puts back what a lost reply brought. Fetches go on meanwhile: the ledger knows which tokens
// they may bring.
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
			if !sleep(ctx, jittered(lostReplies)) { // several replies are lost at once
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

// lostReplies is how long an audit waits for further replies to be lost.
const lostReplies = 20 * time.Millisecond

func (a *auditor) audit(ctx context.Context) error {
	l := a.ledger
	owner := l.owners.current()
	l.mu.Lock()
	l.process.AuditBegins()
	l.mu.Unlock()
	held, landed, err := owner.Held(ctx, l.queues)
	l.mu.Lock()
	if err != nil {
		l.process.AuditFailed()
		l.mu.Unlock()
		return err
	}
	lost := l.process.Audited(owner, held, l.capsuleOf, landed)
	quiet := l.process.IsQuiet()
	l.mu.Unlock()
	if lost > 0 {
		a.log.Warn("found jobs whose delivery was lost on the way: they go back to their queues",
			"jobs", lost)
	}
	if lost > 0 || len(landed) > 0 {
		l.everybody()
	}
	if quiet && len(landed) > 0 {
		return a.bells.returnLanded(ctx) // no fetcher looks any more
	}
	return nil
}

// last audits once more before a stop settles the rest, if a reply was lost at its end.
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

// capsuleOf is the first capsule that serves a queue. The caller holds the mutex.
func (l *ledger) capsuleOf(name string) int {
	for i, q := range l.queues {
		if q == name {
			return l.process.Serving(i)
		}
	}
	return 0
}
