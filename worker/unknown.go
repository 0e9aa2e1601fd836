package worker

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Unknown says what becomes of a job whose class has no handler here. The zero
// Unknown fails it with Ruby's NameError, so that it is retried by whoever gets
// it then.
type Unknown struct {
	hold    bool
	forward string
}

// HoldUnknown puts such a job aside, without spending a retry, until a worker
// that serves its class and its queue takes it out.
func HoldUnknown() Unknown { return Unknown{hold: true} }

// ForwardUnknown moves such a job to another queue, unchanged otherwise, without
// spending a retry.
func ForwardUnknown(queue string) Unknown { return Unknown{forward: queue} }

// ParseUnknown reads retry, hold or forward:QUEUE.
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

// decide says where a job of an unknown class goes; ok is false if it is to be failed.
func (u Unknown) decide(j *queue.Job, from, class string, now time.Time) (d decision, ok bool) {
	var patch envelope.Patch
	switch {
	case u.hold:
		patch.SetString("queue", from) // the queue to which Release gives it back
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

// RefusedError says that a job carries a field whose meaning this worker cannot
// keep. The job is not run. It is retried, and never dropped.
type RefusedError struct {
	Field  string
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused for its field %q: %s", e.Field, e.Reason)
}

func (e *RefusedError) ErrorClass() string { return "kyu.Refused" }

// refusal is why j must not be run, nil if it may (docs/wire.md 3.7).
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

// truthy is Ruby's idea of a JSON value.
func truthy(token string) bool { return token != "" && token != "null" && token != "false" }
