package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
)

// Mail has the arguments of a job, in their order.
type Mail struct {
	To    string
	Times int `job:"optional"`
}

// JobClass is the class under which Ruby knows the job.
func (Mail) JobClass() string { return "MailWorker" }

// A program of its own that runs jobs, without package cli. This one ends after its first job. In
// other programs the context ends with a signal (signal.NotifyContext), and queue.FromEnvironment
// finds the Redis.
func Example() {
	redis, err := miniredis.Run() // a Redis in this process
	if err != nil {
		log.Fatal(err)
	}
	defer redis.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store, err := queue.Open(ctx, queue.Config{URL: "redis://" + redis.Addr()})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close() // after Run has returned

	mux := worker.NewMux()
	worker.HandleArgs(mux, func(ctx context.Context, m Mail) error {
		fmt.Println("to", m.To)
		stop()
		return nil
	}, worker.Options{Timeout: time.Minute})
	runner, err := worker.New(store, worker.Config{
		Mux: mux,
		Capsules: []worker.Capsule{
			{Concurrency: 5, Queues: []worker.QueueWeight{{Name: "mailers"}, {Name: "default"}}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = queue.Push(ctx, queue.NewClient(store), Mail{To: "you@example.com"},
		queue.Options{Queue: "mailers"})
	if err != nil {
		log.Fatal(err)
	}
	if err := runner.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: to you@example.com
}

// A handler with arguments, and a test of it without a Redis.
func ExampleHandle() {
	mux := worker.NewMux()
	worker.Handle(mux, "MailWorker", func(ctx context.Context, m Mail) error {
		fmt.Println("to", m.To, m.Times)
		return nil
	}, worker.Options{Timeout: time.Minute})

	client := queue.NewClient(&workertest.Inline{Mux: mux}) // in a program: queue.Open's Store
	client.Push(context.Background(), "MailWorker", []any{"you@example.com", 2},
		queue.Options{Queue: "mailers"})
	// Output: to you@example.com 2
}

// A middleware that reports each failure with the class of its job.
func ExampleMux_Use() {
	report := func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, j *queue.Job) error {
			err := next(ctx, j)
			if err != nil {
				fmt.Printf("%s failed: %v\n", j.Class, err)
			}
			return err
		}
	}
	mux := worker.NewMux()
	mux.Use(report)
	worker.Handle(mux, "Job", func(_ context.Context, name string) error {
		fmt.Println("job", name)
		return errors.New("no route to host")
	})
	mux.Run(context.Background(), `{"class":"Job","args":["x"]}`)
	// Output:
	// job x
	// Job failed: no route to host
}

// The error that a handler returns decides the outcome of its job.
func Example_retryControl() {
	gone, busy := errors.New("410 Gone"), errors.New("503 Service Unavailable")
	deliver := func(status int) error {
		switch status {
		case 410:
			return queue.Discard(gone) // another attempt would fail too
		case 429:
			return queue.Snooze(time.Minute) // it counts as no attempt
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
