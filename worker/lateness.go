package worker

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// latenessEvery is the time between two looks at the oldest jobs.
const latenessEvery = time.Second

// lateness tells the ledger whose oldest jobs are late, for the floors that ask for it. Its loop is
// the goroutine of Run.
type lateness struct {
	// newLateness writes these; afterwards they do not change.
	ledger *ledger
	outage *outage
	read   func(ctx context.Context, names []string) ([]queue.Line, error)
	queues []int           // their indexes in the ledger
	names  []string        // of the queues
	late   []time.Duration // by queue: the shortest that a capsule names
}

func newLateness(l *ledger, o *outage, capsules []Capsule,
	read func(context.Context, []string) ([]queue.Line, error)) *lateness {
	t := &lateness{ledger: l, outage: o, read: read}
	shortest := map[string]time.Duration{}
	for _, c := range capsules {
		for _, q := range c.Queues {
			late := q.Floor.Late
			if known := shortest[q.Name]; late > 0 && (known == 0 || late < known) {
				shortest[q.Name] = late
			}
		}
	}
	for i, name := range l.queues {
		if shortest[name] > 0 {
			t.queues, t.names = append(t.queues, i), append(t.names, name)
			t.late = append(t.late, shortest[name])
		}
	}
	return t
}

// Run looks once a second until ctx ends. While Redis does not answer, what was seen last counts.
// Without floors that ask for it, Run does nothing.
func (t *lateness) Run(ctx context.Context) error {
	for len(t.names) > 0 && sleep(ctx, jittered(latenessEvery)) {
		lines, err := t.read(ctx, t.names)
		if err != nil {
			if ctx.Err() == nil {
				t.outage.failed("age of queues", err)
			}
			continue
		}
		t.outage.worked("age of queues")
		t.tell(lines)
	}
	return nil
}

// tell tells the ledger what was read.
func (t *lateness) tell(lines []queue.Line) {
	t.ledger.mu.Lock()
	defer t.ledger.mu.Unlock()
	for i, l := range lines {
		t.ledger.process.Late(t.queues[i], l.Age > t.late[i])
	}
}
