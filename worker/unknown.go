package worker

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Unknown is the policy for jobs whose class has no handler here. The zero Unknown fails such a job
// with *UnknownClassError, and the job is retried by the worker that gets it then.
type Unknown struct {
	hold    bool
	forward string // the queue to forward to; empty: do not forward
}

// HoldUnknown moves such a job to the hold set, until a worker comes that serves its class and its
// queue. It costs no retry.
func HoldUnknown() Unknown { return Unknown{hold: true} }

// ForwardUnknown moves such a job to another queue, and changes nothing else in it. It costs no
// retry.
func ForwardUnknown(queue string) Unknown { return Unknown{forward: queue} }

// ParseUnknown reads a policy: retry, hold or forward:QUEUE. Any other text is an error.
func ParseUnknown(text string) (Unknown, error) {
	verb, name, named := strings.Cut(text, ":")
	switch {
	case text == "retry":
		return Unknown{}, nil
	case text == "hold":
		return HoldUnknown(), nil
	case verb == "forward" && named && envelope.QueueName(name):
		return ForwardUnknown(name), nil
	default:
		return Unknown{}, fmt.Errorf("%q: want retry, hold or forward:QUEUE", text)
	}
}

// String returns the policy as ParseUnknown reads it.
func (u Unknown) String() string {
	switch {
	case u.hold:
		return "hold"
	case u.forward != "":
		return "forward:" + u.forward
	default:
		return "retry"
	}
}

// level is the level of the line about such a job. To forward is the normal case of a worker that
// serves a part of the classes, and the line would be the most frequent of all.
func (u Unknown) level() slog.Level {
	if u.forward != "" {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// decide returns where a job of an unknown class goes. ok is false if the job is to fail.
func (u Unknown) decide(j *queue.Job, from, class string, now time.Time) (d decision, ok bool) {
	var patch envelope.Patch
	switch {
	case u.hold:
		patch.SetString("queue", from) // Release puts the job back to this queue
		return decision{settle: queue.Settlement{Action: queue.Hold, Payload: patch.Apply(j),
			At: now, To: class}, event: queue.EventHold, told: OutcomeHeld}, true
	case u.forward != "":
		patch.SetString("queue", u.forward)
		return decision{settle: queue.Settlement{Action: queue.Forward, Payload: patch.Apply(j),
			To: u.forward}, event: queue.EventForward, told: OutcomeForwarded}, true
	default:
		return d, false
	}
}

// RefusedError says that a job was not run because this worker cannot do what a field of the
// payload asks for. The job is retried, and never dropped.
type RefusedError struct {
	Field  string // of the payload
	Reason string // and the remedy
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused for its field %q: %s", e.Field, e.Reason)
}

// ErrorClass is the name under which the failure is stored.
func (e *RefusedError) ErrorClass() string { return "kyu.Refused" }

// refusal returns why j must not run, or nil if it may (docs/wire.md 3.7).
func refusal(j *queue.Job, allowBatches bool) error {
	switch {
	case truthy(j.Field("encrypt")):
		return &RefusedError{"encrypt", "its last argument is encrypted by Sidekiq Enterprise, " +
			"and only Ruby has the key: leave its queue to Ruby's workers"}
	case truthy(j.Field("bid")) && !allowBatches:
		return &RefusedError{"bid", "it belongs to batch " + cmp.Or(j.String("bid"), "?") +
			" of Sidekiq Pro, which would wait for it for ever: leave its queue to Ruby's " +
			"workers, or start with --allow-batches if nothing waits for the batch"}
	}
	return nil
}

// truthy reports whether Ruby counts a JSON value as true.
func truthy(token string) bool { return token != "" && token != "null" && token != "false" }
