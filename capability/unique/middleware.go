package unique

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// retryIn is how long a job waits that does not get its runtime lock, as with Ruby's strategy
// reschedule.
const retryIn = 5 * time.Second

// ErrHeld is the error of a job that did not get its runtime lock, if its payload says that this
// is a failure.
var ErrHeld = errors.New("another job holds its lock")

// Middleware returns the middleware that changes the locks of a job when it starts. It belongs
// outside of all other middleware, because a job without its runtime lock must not begin. Locks of
// jobs that end are released by the effects of Capability.
func Middleware() worker.Middleware {
	return func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, j *queue.Job) error {
			h, ok := heldBy(j)
			if !ok {
				return next(ctx, j)
			}
			if err := h.start(ctx, j); err != nil {
				return err
			}
			return next(ctx, j)
		}
	}
}

// start makes the claims of a job that starts. If it returns an error, the job must not run.
func (h held) start(ctx context.Context, j *queue.Job) error {
	refusal, err := worker.Claim(ctx, h.claims(j.JID)...)
	switch {
	case err != nil && errors.Is(err, worker.ErrTimeout):
		return queue.Snooze(retryIn) // Redis did not answer: that costs the job no attempt
	case err != nil:
		return fmt.Errorf("lock %s: %w", h.digest, err)
	case refusal == nil:
		return nil
	case h.kind.runs():
		return h.conflict(ctx, j, refusal.Reason)
	}
	// Ruby drops such a job without a word. It was accepted, so it runs here.
	worker.LogFrom(ctx).Warn("runs without its lock, which another job holds", "lock", h.digest,
		"holder", refusal.Reason)
	return nil
}

// claims returns the claims of a job that starts. The runtime lock comes first: a job that does not
// get it goes on waiting, and keeps the lock that it holds while it waits.
func (h held) claims(jid string) (list []queue.Effect) {
	if h.kind.runs() {
		list = append(list, h.effect("take", h.runtime(), jid))
	}
	switch {
	case h.kind.releasedAtStart():
		list = append(list, h.effect("release", h.digest, jid))
	case h.kind.waits():
		list = append(list, h.effect("take", h.digest, jid))
	}
	return list
}

// conflict returns the outcome of a job whose runtime lock another job holds, as the payload says.
// The values are Ruby's. Where Ruby drops the job without being told to, it runs later here.
func (h held) conflict(ctx context.Context, j *queue.Job, holder string) error {
	err := fmt.Errorf("%w: %s holds %s", ErrHeld, holder, h.runtime())
	strategy := onConflict(j)
	if h.kind == rejecting {
		strategy = "reject"
	}
	switch strategy {
	case "raise":
		return err
	case "reject":
		return queue.Kill(err)
	case "log":
		worker.LogFrom(ctx).Warn("dropped, as its on_conflict says: another job holds its lock",
			"lock", h.runtime(), "holder", holder)
		return queue.Discard(err)
	}
	return queue.Snooze(retryIn)
}

// onConflict returns what a worker does with a job whose runtime lock is held.
func onConflict(j *queue.Job) string {
	if s := j.String("on_server_conflict"); s != "" {
		return s
	}
	if s := j.String("on_conflict"); s != "" {
		return s
	}
	var sides struct {
		Server string `json:"server"`
	}
	if json.Unmarshal([]byte(j.Field("on_conflict")), &sides) != nil {
		return "" // no field, or one of another form
	}
	return sides.Server
}
