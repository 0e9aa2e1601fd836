// Package failpoint names moments at which tests kill, stop, delay, block or panic a
// process. The points exist only in a program that is built with the tag "failpoints".
// Otherwise Hit is empty, and the compiler removes its calls.
package failpoint

// Names lists all points, in the order in which a job passes them.
var Names = []string{
	"before_fetch",      // a fetch is about to be sent
	"fetch_reply",       // its reply has arrived and is not in the ledger yet
	"registered",        // a thread has the job
	"before_run",        // the handler is about to run
	"mid_run",           // in the handler of Test::Ledger, between start and end
	"run_ok_before_ack", // the handler has returned, and the settler does not have the result
	"ack_sent",          // the settlement is sent, and its reply has not arrived
	"ack_reply",         // its reply has arrived
	"retry_before",      // a failure is about to be settled as a retry
	"retry_sent",        // that settlement is sent
	"promote_before",    // the due jobs have been read
	"promote_sent",      // the promotion is sent
	"reclaim_mid",       // a dead owner is fenced, and not all of its jobs are back
	"heartbeat_mid",     // the lease is extended, and the record is not written
	"requeue_on_stop",   // a job is about to be put back because the worker stops
	"stats_flush",       // the counters are written, and the worker has no reply
}
