package queue

import "github.com/kyujobs/kyu/queue/envelope"

// Job is a job as a handler gets it. Its methods read the payload, which never changes.
type Job = envelope.Job

// ErrInvalid is wrapped by the error for bytes that are no job.
var ErrInvalid = envelope.ErrInvalid

// Timestamps is the form of times in payloads (docs/wire.md 3.3).
type Timestamps = envelope.Timestamps

const (
	// Float writes seconds as a float with a fraction. Every Sidekiq reads it.
	Float = envelope.Float
	// Millis writes milliseconds as an integer. Only Sidekiq 8 and later reads it.
	Millis = envelope.Millis
	// Mirror rewrites a payload in the form of its own created_at or enqueued_at, and writes new
	// payloads as Float.
	Mirror = envelope.Mirror
)
