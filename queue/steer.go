package queue

import (
	"context"
	"fmt"
	"time"
)

// Steer is an error that decides the outcome of a handler's job, also if it is wrapped. Discard,
// Kill, RetryIn and Snooze return one.
type Steer struct {
	Action Action        // Done for Discard, Dead for Kill, Retry for RetryIn, Schedule for Snooze
	In     time.Duration // for Retry and Schedule
	Err    error         // the cause; may be nil
	// Closes says that the wait is for all jobs of the job's lane, if it has one.
	Closes bool
}

func (s *Steer) Error() string {
	verb := map[Action]string{Done: "discard", Dead: "kill", Retry: "retry in " + s.In.String(),
		Schedule: "snooze for " + s.In.String()}[s.Action]
	if s.Err == nil {
		return verb
	}
	return fmt.Sprintf("%s: %v", verb, s.Err)
}

func (s *Steer) Unwrap() error { return s.Err }

// Discard returns an error that drops the job. It is not retried and not kept, but death handlers
// run. err is the cause, and may be nil.
func Discard(err error) error { return &Steer{Action: Done, Err: err} }

// Kill returns an error that moves the job to the dead set without further retries. err is the
// cause, and may be nil.
func Kill(err error) error { return &Steer{Action: Dead, Err: err} }

// RetryIn returns an error that counts this attempt as failed and, if the job has a retry left,
// runs it again after d. err is the cause, and may be nil.
func RetryIn(d time.Duration, err error) error { return &Steer{Action: Retry, In: d, Err: err} }

// Snooze returns an error that runs the job again after d. This run is not counted as an attempt or
// as a failure.
func Snooze(d time.Duration) error { return &Steer{Action: Schedule, In: d} }

// RateLimited returns an error that says that the other side wants no request for d, such as an
// HTTP answer 429 with Retry-After. If the job came from a lane (package lanes), the lane is closed
// for d, the job is its first again, and no attempt is counted. Otherwise it is RetryIn(d, err).
func RateLimited(d time.Duration, err error) error {
	return &Steer{Action: Retry, In: d, Err: err, Closes: true}
}

type laneKey struct{}

// WithLane returns a context of a job that came from a lane, for HasLane. The runtime calls it.
func WithLane(ctx context.Context) context.Context {
	return context.WithValue(ctx, laneKey{}, true)
}

// HasLane reports whether the job of a handler's context holds a place in a lane, whose limits hold
// over all processes.
func HasLane(ctx context.Context) bool { return ctx.Value(laneKey{}) != nil }

type jobKey struct{}

// WithJob returns a context of j, for JobFrom. The runtime calls it; a test of a handler may too.
func WithJob(ctx context.Context, j *Job) context.Context {
	return context.WithValue(ctx, jobKey{}, j)
}

// JobFrom returns the job that a handler's context belongs to, or nil for other contexts.
func JobFrom(ctx context.Context) *Job {
	j, _ := ctx.Value(jobKey{}).(*Job)
	return j
}
