package queue

import "github.com/kyujobs/kyu/queue/envelope"

// Job is a job as a handler gets it: its methods read the payload, which never changes.
type Job = envelope.Job

// ErrInvalid is wrapped by the error for bytes that are not a job.
var ErrInvalid = envelope.ErrInvalid

// Timestamps says how times are written into payloads (docs/wire.md 3.3).
type Timestamps = envelope.Timestamps

const (
	// Float writes float seconds with a fraction: every Sidekiq reads it.
	Float = envelope.Float
	// Millis writes integer milliseconds: only Sidekiq 8 and later reads it.
	Millis = envelope.Millis
	// Mirror rewrites a payload in the form that its own created_at or enqueued_at has, and
	// writes new payloads as Float.
	Mirror = envelope.Mirror
)
