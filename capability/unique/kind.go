package unique

import "github.com/kyujobs/kyu/queue"

// Kind says from when until when a job holds its lock. The values are those of the field lock of
// sidekiq-unique-jobs.
type Kind string

// The kinds of locks. While a job waits in the schedule set or the retry set, it keeps the lock.
const (
	// UntilDone is held from the push until the job is done, dead or deleted.
	UntilDone Kind = "until_executed"
	// UntilStart is held from the push until the job starts, and again while it waits for another
	// attempt.
	UntilStart Kind = "until_executing"
	// UntilExpired is held from the push for the time Lock.For, whatever becomes of the job, unless
	// the job is deleted or dies.
	UntilExpired Kind = "until_expired"
	// WhileRunning is held while the job runs. A job that does not get it runs 5 s later.
	WhileRunning Kind = "while_executing"
	// UntilStartWhileRunning is UntilStart, and WhileRunning with a lock of its own.
	UntilStartWhileRunning Kind = "until_and_while_executing"

	// rejecting is WhileRunning, and a job that does not get the lock goes to the dead set.
	rejecting Kind = "while_executing_reject"
)

// aliases are further names of kinds that versions 6 to 8 of the gem accept.
var aliases = map[string]Kind{
	"while_enqueued":  UntilStart,
	"until_completed": UntilDone, "until_performed": UntilDone, "until_processed": UntilDone,
	"until_successfully_completed": UntilDone,
	"until_timeout":                UntilExpired,
	"around_perform":               WhileRunning, "while_busy": WhileRunning,
	"while_working": WhileRunning,
}

// parseKind returns the kind that a field lock names. ok is false if there is no such kind: then
// the lock is left alone.
func parseKind(name string) (k Kind, ok bool) {
	if alias, ok := aliases[name]; ok {
		return alias, true
	}
	switch k = Kind(name); k {
	case UntilDone, UntilStart, UntilExpired, WhileRunning, UntilStartWhileRunning, rejecting:
		return k, true
	}
	return "", false
}

// waits reports whether a job that waits holds a lock of the kind.
func (k Kind) waits() bool { return k != WhileRunning && k != rejecting }

// runs reports whether a job that runs holds a runtime lock.
func (k Kind) runs() bool {
	return k == WhileRunning || k == rejecting || k == UntilStartWhileRunning
}

// releasedAtStart reports whether the lock of a waiting job is released when the job starts.
func (k Kind) releasedAtStart() bool { return k == UntilStart || k == UntilStartWhileRunning }

// ends reports whether an event ends the life of a job.
func ends(event queue.EffectEvent) bool {
	switch event {
	case queue.EventDone, queue.EventDead, queue.EventDiscard, queue.EventExpire,
		queue.EventPoison, queue.EventDelete:
		return true
	}
	return false
}

// releases reports whether an event releases the lock that a job holds while it waits.
func (k Kind) releases(event queue.EffectEvent) bool {
	return k.waits() && ends(event) && !(k == UntilExpired && event == queue.EventDone)
}

// retakes reports whether an event makes a job wait again that may have released its lock at its
// start.
func (k Kind) retakes(event queue.EffectEvent) bool { return k.releasedAtStart() && !ends(event) }
