// Package failpoint names the moments at which tests let a process die, stop, hang
// or panic. In a program that is built without the tag "failpoints" they do not
// exist: Hit is empty, and the compiler leaves it out.
package failpoint

// Names are all points, in the order of a job's life.
var Names = []string{
	"before_fetch",      // a fetch is about to go
	"fetch_reply",       // its reply is here, and nobody knows of it yet
	"registered",        // a thread has the job
	"before_run",        // the handler is about to run
	"mid_run",           // in the handler of Test::Ledger, between start and end
	"run_ok_before_ack", // it has returned, and the settler has not heard of it
	"ack_sent",          // the settle is on the wire, and its reply is not here
	"ack_reply",         // its reply is here
	"retry_before",      // a failure is about to be settled as a retry
	"retry_sent",        // that is on the wire
	"promote_before",    // what is due has been read
	"promote_sent",      // the promotion is on the wire
	"reclaim_mid",       // a dead owner is fenced, and its jobs are not all back
	"heartbeat_mid",     // the lease is extended, and the record is not written
	"requeue_on_stop",   // a job is about to be put back because the worker stops
	"stats_flush",       // the counters are written, and the worker does not know
}
