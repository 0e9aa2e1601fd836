package worker

import (
	"time"
)

// Observer is told what happens in a worker, for metrics and traces. Its methods are called from
// many goroutines at once, so it must be safe for concurrent use, and Ran must be quick: its time
// is that of the thread. A panic in it is logged, and changes nothing else.
type Observer interface {
	// Ran is called for every job that was taken, when its outcome is known.
	Ran(r JobRun)
	// Fetched is called after every fetch with the time of its round trip, the number of jobs that
	// it brought, and its error. took is 0 for a job that a doorbell brought, because that round
	// trip waited for a push.
	Fetched(took time.Duration, jobs int, err error)
	// Settled is called after every round trip that only sent results, with its time, the number of
	// results, and its error. Results that a fetch sends along are not among them.
	Settled(took time.Duration, jobs int, err error)
	// Reclaimed is called when jobs of a dead worker were recovered: so many went back to their
	// queues, and so many went to the dead set as poison.
	Reclaimed(requeued, poisoned int)
}

// JobRun describes one run of a job, or why it did not run.
type JobRun struct {
	Queue   string        // the queue that the job was taken from
	Class   string        // for ActiveJob the wrapped class; UnknownClass if it has no handler here
	Outcome Outcome       // what became of the job
	Waited  time.Duration // from enqueued_at, else created_at, to the start; 0 without both
	Ran     time.Duration // how long the run took; 0 if the job did not run
}

// UnknownClass stands for all classes without a handler. Anybody can push any name, and the number
// of metrics must not grow with them.
const UnknownClass = "(unknown)"

// Outcome is the outcome of a job in one word.
type Outcome string

// The outcomes of a job.
const (
	OutcomeDone        Outcome = "done"
	OutcomeRetry       Outcome = "retry"       // failed, and goes to the retry set
	OutcomeDead        Outcome = "dead"        // failed, and goes to the dead set
	OutcomeDropped     Outcome = "dropped"     // failed, and is not kept
	OutcomeExpired     Outcome = "expired"     // not run, because it was too late
	OutcomeSnoozed     Outcome = "snoozed"     // put off by its handler
	OutcomeRequeued    Outcome = "requeued"    // interrupted by a stop, and goes back to its queue
	OutcomeInterrupted Outcome = "interrupted" // an iterable job, which continues later
	OutcomeForwarded   Outcome = "forwarded"   // has no handler here; goes to another queue
	OutcomeHeld        Outcome = "held"        // has no handler here; goes to the hold set
)

// Observers returns an Observer that calls those of list that are not nil, in order. It is nil if
// all of them are nil.
func Observers(list ...Observer) Observer {
	var some observers
	for _, o := range list {
		if o != nil {
			some = append(some, o)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some
}

type observers []Observer

func (l observers) Ran(r JobRun) {
	for _, o := range l {
		o.Ran(r)
	}
}

func (l observers) Fetched(took time.Duration, jobs int, err error) {
	for _, o := range l {
		o.Fetched(took, jobs, err)
	}
}

func (l observers) Settled(took time.Duration, jobs int, err error) {
	for _, o := range l {
		o.Settled(took, jobs, err)
	}
}

func (l observers) Reclaimed(requeued, poisoned int) {
	for _, o := range l {
		o.Reclaimed(requeued, poisoned)
	}
}
