package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// Claim makes claims for the job that runs under ctx, such as taking a lock, and returns the
// refusal, or nil if all are granted. It is for middleware. The job's settlement must release what
// was claimed, by the effects of the same capability. Outside of a worker all claims are granted.
//
// While Redis does not answer, Claim tries again, until ctx ends. The error is then the cause of
// that end. It is queue.ErrLeaseLost if the job was taken away from this worker, and another error
// if Redis refuses the call: then nothing was claimed.
func Claim(ctx context.Context, claims ...queue.Effect) (*queue.Refusal, error) {
	c := jobContextOf(ctx)
	if c == nil || c.delivery == nil {
		return nil, nil
	}
	var wait backoff
	for {
		// The end of ctx must not interrupt the call: its outcome would be unknown.
		refusal, err := c.delivery.Owner.Claim(context.WithoutCancel(ctx), c.job.JID, c.delivery,
			claims...)
		var invalid *queue.InvalidError
		if err == nil || errors.Is(err, queue.ErrLeaseLost) || errors.As(err, &invalid) ||
			redisdb.Rejected(err) || errors.Is(err, queue.ErrClaim) {
			return refusal, err
		}
		if !sleep(ctx, wait.next()) {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
