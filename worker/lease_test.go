package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestOwnership(t *testing.T) {
	t.Run("a job that lands with an identity that Redis has forgotten is found",
		func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.config.Lease = 2 * time.Second
			var runs ran
			b.handle("Job", func(ctx context.Context) error {
				runs.add(queue.JobFrom(ctx).JID)
				return nil
			})
			r := b.run()
			b.until("it sleeps behind its doorbells", func() bool { return b.calls("blmove") >= 2 })
			old := r.Status().Identity
			b.raw.FlushAll(t.Context())
			b.push("Job", nil, queue.Options{JID: "x"}) // a doorbell of the old identity takes it
			b.until("it has run", func() bool { return len(runs.all()) == 1 })
			if r.Status().Identity == old {
				t.Error("it goes on under an identity that Redis does not know")
			}
		})
}
