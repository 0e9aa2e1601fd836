package unique

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Explain says for each lock that a job names and that is held whether the job holds it itself, or
// which job does.
func (l *Locks) Explain(ctx context.Context, j *queue.Job) (reasons []inspect.Reason, err error) {
	locks, err := l.Of(ctx, j)
	for _, lock := range locks {
		reasons = append(reasons, lock.explain(j))
	}
	return reasons, err
}

// explain says who holds a lock that the job names.
func (h Held) explain(j *queue.Job) inspect.Reason {
	for _, holder := range h.Holders {
		if holder.JID == j.JID {
			return inspect.Reason{Text: "it holds the lock " + h.Digest}
		}
	}
	holder := h.Holders[0].JID
	return inspect.Reason{Text: fmt.Sprintf("job %s holds its lock %s", holder, h.Digest),
		Do: "workerctl job " + holder}
}
