package outbox

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

var (
	errNoQueue = errors.New("no queue: neither the column queue nor the payload names one")
	errJID     = errors.New("the jid has more than 128 bytes")
	errName    = errors.New("the name of the queue has a line break")
)

// maxJID is how many bytes a JID may have, as in a push.
const maxJID = 128

// job is the job of a row.
type job struct {
	place string // the queue; "" for the schedule set
	queue.Pushed
	marker string // the name of the marker of its push
}

// job reads the job of a row, and adds the fields to its payload that a row by plain SQL may leave
// out. A payload that has all of them keeps its bytes. The error says why the row holds no job.
func (w *row) job(now time.Time) (job, error) {
	j, err := envelope.ParseJob(w.payload)
	if err != nil {
		return job{}, err
	}
	name, err := w.queueOf(j)
	if err != nil {
		return job{}, err
	}
	at := w.due(j)
	later := at.After(now)
	if later {
		// Sidekiq's page of the schedule set, and its poller, would fail on it.
		if err := j.RubyRefuses(); err != nil {
			return job{}, fmt.Errorf("scheduled, but Ruby cannot read it: %w", err)
		}
	}
	result := job{place: name, Pushed: queue.Pushed{JID: j.JID, Payload: w.complete(j, name, later,
		now)}}
	if j.JID == "" {
		result.JID = w.jid
	}
	if len(result.JID) > maxJID {
		return job{}, errJID
	}
	if later {
		result.place, result.At = "", at
	}
	result.marker = result.JID
	if !w.idempotent { // two rows are two pushes, even of one JID
		result.marker += "/" + strconv.FormatInt(w.id, 10)
	}
	return result, nil
}

// queueOf returns the queue of a row: that of the column, of the payload, or of both.
func (w *row) queueOf(j *queue.Job) (string, error) {
	name := j.Queue
	if w.queue != nil && *w.queue != "" {
		name = *w.queue
	}
	switch {
	case name == "":
		return "", errNoQueue
	case !envelope.QueueName(name):
		return "", errName
	case j.Queue != "" && j.Queue != name:
		return "", fmt.Errorf("the column queue is %.128q, but the payload says %.128q", name,
			j.Queue)
	}
	return name, nil
}

// due returns when the job is due, by the column or the field at. The zero time is at once.
func (w *row) due(j *queue.Job) time.Time {
	if w.at != nil {
		return *w.at
	}
	return j.Time("at")
}

// complete returns the payload with all fields that Ruby's client writes.
func (w *row) complete(j *queue.Job, name string, later bool, now time.Time) string {
	var p envelope.Patch
	missing := func(key string) bool { return j.Field(key) == "" }
	if missing("at") && !missing("retry") && !missing("jid") && !missing("queue") &&
		!missing("created_at") && !missing("args") && (later || !missing("enqueued_at")) {
		return w.payload
	}
	if !missing("at") {
		p.Remove("at")
	}
	if missing("args") {
		p.Set("args", "[]")
	}
	if missing("retry") {
		p.Set("retry", "true") // without it Ruby would drop a job that fails
	}
	if missing("queue") {
		p.SetString("queue", name)
	}
	if j.JID == "" {
		p.SetString("jid", w.jid)
	}
	if missing("created_at") {
		p.SetTime("created_at", w.created, envelope.Mirror, j)
	}
	if !later && missing("enqueued_at") {
		p.SetTime("enqueued_at", now, envelope.Mirror, j)
	}
	return p.Apply(j)
}
