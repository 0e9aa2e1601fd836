package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestSettler(t *testing.T) {
	t.Run("does not hold a stop up while Redis is away", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.config.Timeout = time.Second
		running, goOn := make(chan struct{}), make(chan struct{})
		b.handle("Job", func(context.Context) error {
			close(running)
			<-goOn
			return nil
		})
		b.push("Job", nil, queue.Options{})
		r := b.run()
		<-running
		b.server.Kill()
		close(goOn)
		b.until("its result waits", func() bool { return r.Status().Busy == 0 })
		r.Stop()
		select {
		case err := <-b.ended:
			b.ended <- err
		case <-time.After(10 * time.Second):
			t.Fatal("the stop waits for a Redis that is away")
		}
	})
}
