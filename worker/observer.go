package worker

import (
	"time"
)

// Observer is told what happens in a worker, for metrics and traces. It is called
// from many goroutines, in the middle of the work: it must be quick. A
// panic of its costs a line in the log.
type Observer interface {
	// Ran is told of every job that was taken, when it is known what becomes of it.
	Ran(r JobRun)
	// Fetched is told of every fetch: how long its round trip took, and how many jobs it brought.
	// One that a doorbell carried waited for none: took is 0.
	Fetched(took time.Duration, jobs int, err error)
	// Settled is told of every batch of jobs that was taken out of flight by itself.
	Settled(took time.Duration, jobs int, err error)
	// Reclaimed is told of jobs that were taken out of a dead worker's hands, and of
	// those among them that went to the dead set.
	Reclaimed(requeued, poisoned int)
}

// JobRun is what became of a job.
type JobRun struct {
	Queue   string
	Class   string // that it is really about; UnknownClass if it has no handler here
	Outcome Outcome
	Waited  time.Duration // from when it was enqueued to its start; 0 if the payload does not say
	Ran     time.Duration
}

// UnknownClass stands for all classes without a handler: anybody can push any
// name, and metrics must not grow with them.
const UnknownClass = "(unknown)"

// Outcome is what became of a job, in one word.
type Outcome string

const (
	OutcomeDone        Outcome = "done"
	OutcomeRetry       Outcome = "retry"       // failed, and goes to the retry set
	OutcomeDead        Outcome = "dead"        // failed, and goes to the dead set
	OutcomeDropped     Outcome = "dropped"     // failed, and is not kept
	OutcomeExpired     Outcome = "expired"     // not run: it was too late
	OutcomeSnoozed     Outcome = "snoozed"     // put off by its handler
	OutcomeRequeued    Outcome = "requeued"    // interrupted by the stop: back to its queue
	OutcomeInterrupted Outcome = "interrupted" // an iterable job that goes on later
	OutcomeForwarded   Outcome = "forwarded"   // not known here: to another queue
	OutcomeHeld        Outcome = "held"        // not known here: put aside
)

// Observers tells several observers. Those that are nil are left out.
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
