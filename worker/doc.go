// Package worker runs the jobs that lie in the queues of a Redis, in the format of Sidekiq.
//
// A [Mux] holds one handler for each class of jobs: [Handle] and [HandleArgs] add a handler whose
// arguments are decoded, [HandleIterable] adds a job of many steps. A [Runner] takes jobs from its
// queues and calls the handlers. It also moves scheduled jobs and retries to their queues when they
// are due, and it recovers the jobs of workers that died.
//
//	mux := worker.NewMux()
//	worker.Handle(mux, "MailWorker", func(ctx context.Context, m Mail) error {
//		return send(ctx, m)
//	})
//	runner, err := worker.New(store, worker.Config{
//		Mux: mux,
//		Capsules: []worker.Capsule{
//			{Concurrency: 5, Queues: []worker.QueueWeight{{Name: "default"}}},
//		},
//	})
//	if err != nil {
//		return err
//	}
//	return runner.Run(ctx) // blocks until ctx ends and the running jobs have ended
//
// The error of a handler decides the outcome of its job: nil means done, and any other error means
// a retry. [queue.Discard], [queue.Kill], [queue.RetryIn] and [queue.Snooze] make errors with other
// outcomes.
//
// # Guarantees
//
// A job whose push was acknowledged runs to an end at least once, whichever process is killed, and
// whenever. It has one owner at a time. It may run more than once: a handler must work when it runs
// twice for the same job.
//
// # The context of a handler
//
// It carries the job ([queue.JobFrom]), a logger ([LogFrom]) and a channel that closes when the
// worker takes no more jobs ([Quieting]). It ends when the handler returns, and earlier with one of
// these causes (see [context.Cause]):
//
//   - [ErrTimeout]: the run took longer than Options.Timeout;
//   - [ErrDeadline]: the job became older than Options.Deadline;
//   - [ErrShutdown]: the worker stops, and Config.Timeout is over;
//   - [queue.ErrLeaseLost]: the worker was out of touch with Redis for Config.Lease, and another
//     worker may run the job again.
//
// A handler that ignores the end of its context keeps its thread, and a stop does not wait for it
// longer than Config.Grace.
package worker
