package queue

import (
	"context"
	"fmt"
	"time"
)

// Steer is an error by which a handler says what is to become of its job. Make
// one with Discard, Kill, RetryIn or Snooze; wrapping keeps its meaning.
type Steer struct {
	Action Action        // Done for discard, Dead, Retry, or Schedule for snooze
	In     time.Duration // for Retry and Schedule
	Err    error         // the cause; may be nil
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

// Discard drops the job: it is not retried and not kept, but death handlers run.
func Discard(err error) error { return &Steer{Action: Done, Err: err} }

// Kill sends the job to the dead set at once.
func Kill(err error) error { return &Steer{Action: Dead, Err: err} }

// RetryIn fails this attempt and sets the next one, if there is one left, in d.
func RetryIn(d time.Duration, err error) error { return &Steer{Action: Retry, In: d, Err: err} }

// Snooze puts the job off by d. It counts neither as an attempt nor as a failure.
func Snooze(d time.Duration) error { return &Steer{Action: Schedule, In: d} }

type jobKey struct{}

// WithJob gives a handler's context its job.
func WithJob(ctx context.Context, j *Job) context.Context {
	return context.WithValue(ctx, jobKey{}, j)
}

// JobFrom is the job that a handler's context runs, or nil outside of one.
func JobFrom(ctx context.Context) *Job {
	j, _ := ctx.Value(jobKey{}).(*Job)
	return j
}
