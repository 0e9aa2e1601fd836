// Package unique keeps jobs from being in the queues, or from running, more than once at a time. It
// uses the keys and the fields of the Ruby gem sidekiq-unique-jobs (docs/wire.md, Locks): jobs that
// Ruby's clients have locked are run and released here, and Ruby's pages show the locks of both.
//
// A worker honours the locks of the payloads that it runs with two parts, which package cli has
// built in:
//
//	store, err := queue.Open(ctx, queue.Config{
//		Capabilities: []queue.Capability{unique.Capability()}})
//	mux.Use(unique.Middleware())
//
// A program that pushes adds locks of its own with a client middleware:
//
//	client := queue.NewClient(store, unique.Client(map[string]unique.Lock{
//		"Feed::Rebuild": {Kind: unique.UntilDone, For: time.Hour},
//	}))
//
// A lock is taken in the script that pushes the job, and released in the script that settles it. So
// no crash leaves a job without its lock or a lock without its job.
package unique
