// Package spool keeps pushes on the local disk while Redis is away, and makes them when it is back.
// It is for programs without Postgres. Those with one push in its transactions: capability/outbox.
//
//	kept, err := spool.Open("/var/lib/shop/spool", spool.Connect(config), spool.Options{})
//	client := queue.NewClient(kept)
//	go kept.Run(ctx)
//
// While Redis answers, pushes go to Redis as without a spool. When it does not, a push is written
// to the disk, and returns when it is there for sure (fsync). From then on all pushes go to the
// disk, until Run has pushed all that is there. So jobs of one queue are in the order in which this
// process pushed them.
//
// No push is stored twice. Redis remembers the JIDs of jobs: for 24 hours if the push came from the
// disk or its reply was lost, otherwise for a second. So a spool takes a push whose outcome is
// unknown (queue.ErrUnknown) and repeats it. Jobs with the same JID are therefore one job, as with
// queue.Options.Idempotent.
package spool
