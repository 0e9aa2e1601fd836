// Package queue keeps jobs in Redis, in Sidekiq's wire format. From the moment when a push returns
// until a job is done, dead or discarded, the job is in exactly one place. It moves in one atomic
// call, mostly a Lua script. The package starts no goroutines and runs no jobs: package worker runs
// them.
//
// # Pushing
//
// [Open] returns a [Store] for a [Config], which [FromEnvironment] reads from the usual variables.
// [NewClient] returns a [Client] of a Store. [Push] and [PushAll] push jobs whose arguments are a
// struct ([Args]); [Client.Push], [Client.PushBulk] and [Client.PushActiveJob] take the arguments
// as a list. [Options] say when a job runs, in which queue, and how often it is retried. A
// [ClientMiddleware] wraps every push. A push can fail with an [InvalidError], a [TooLargeError] or
// [ErrUnknown].
//
// # Inside a handler
//
// [JobFrom] returns the job that a context belongs to. A handler that returns [Discard], [Kill],
// [RetryIn] or [Snooze] decides the outcome of its job.
//
// # Correcting by hand
//
// A [JobSet] (Store.RetrySet, ScheduleSet, DeadSet, HoldSet) retries, deletes and moves jobs.
// [Store.Pause], [Store.ClearQueue], [Store.DeleteFromQueue] and [Store.CancelIteration] change
// queues and running jobs. Package inspect reads everything that is in Redis.
//
// # For the other packages of Kyu
//
// All other types serve the runtime, and may change with any version. An [Owner] holds a lease and
// takes jobs in flight: [FetchRequest], [Fetched], [Bell], [Delivery], [Settlement], [Orders]. A
// reclaimer finds dead owners: [Host], [Lease], [Suspects], [Poison], [Reclaimed]. A [Promotion]
// moves jobs that are due. [ProcessRecord], [Counts] and [ClassMetrics] are data that a process
// publishes. A [Capability] adds an [Effect] to the removal of a job.
package queue
