// Package lanes limits how many jobs with one key run at once and how often they begin, over all
// processes, and gives keys their turns. A job whose key is at its limit is parked in its lane, in
// Redis, and the jobs of other keys run; a job of the lane that ends lets the next one run. So a
// limit takes no thread, costs no attempt, and delays no other key. Nothing asks again and again
// whether a parked job may run.
//
// A queue gets lanes by a Rule, which is in Redis and can be changed while jobs run. Jobs arrive in
// the queue's list, from any Sidekiq client. A worker moves them to their lanes in the order of the
// list, and takes them from there. Ruby's processes do not see parked jobs, so lanes are off while
// one of them serves the queue, unless the rule says otherwise.
//
// A worker has lanes with two parts, which package cli has built in:
//
//	store, err := queue.Open(ctx, queue.Config{
//		Capabilities: []queue.Capability{lanes.Capability()}})
//	runner, err := worker.New(store, worker.Config{Source: lanes.New(store, logger)})
package lanes
