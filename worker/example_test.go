package worker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
)

// Mail are the arguments of a job, in their order.
type Mail struct {
	To    string
	Times int `job:"optional"`
}

func ExampleHandle() {
	mux := worker.NewMux()
	worker.Handle(mux, "MailWorker", func(ctx context.Context, m Mail) error {
		fmt.Println("to", m.To, m.Times)
		return nil
	}, worker.Options{Timeout: time.Minute})

	client := queue.NewClient(&workertest.Inline{Mux: mux}) // in production: queue.Open's Store
	client.Push(context.Background(), "MailWorker", []any{"you@example.com", 2},
		queue.Options{Queue: "mailers"})
	// Output: to you@example.com 2
}

func ExampleMux_Use() {
	mux := worker.NewMux()
	mux.Use(func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, j *queue.Job) error {
			fmt.Println("before", j.Class)
			return next(ctx, j)
		}
	})
	worker.Handle(mux, "Job", func(context.Context, string) error {
		fmt.Println("job")
		return nil
	})
	mux.Run(context.Background(), `{"class":"Job","args":["x"]}`)
	// Output:
	// before Job
	// job
}

// A handler steers what becomes of its job by the error that it returns.
func Example_retryControl() {
	gone, busy := errors.New("410 Gone"), errors.New("503 Service Unavailable")
	deliver := func(status int) error {
		switch status {
		case 410:
			return queue.Discard(gone) // no use in trying again
		case 429:
			return queue.Snooze(time.Minute) // not an attempt
		case 503:
			return queue.RetryIn(5*time.Minute, busy)
		default:
			return nil
		}
	}
	fmt.Println(deliver(410))
	fmt.Println(deliver(429))
	fmt.Println(deliver(503))
	// Output:
	// discard: 410 Gone
	// snooze for 1m0s
	// retry in 5m0s: 503 Service Unavailable
}
