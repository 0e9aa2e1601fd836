package worker

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Rehearsal is what a worker would have done with a job after one run.
type Rehearsal struct {
	Outcome Outcome
	Err     error     // of the handler, also of a snooze; nil if the job is done
	Payload string    // of the next attempt, or in the dead set; empty if there is neither
	At      time.Time // of the next attempt; zero if there is none
}

// Rehearse runs a job as a worker with the default configuration would run it at the time now, and
// decides its outcome by the same rules, without a Redis. It is for tests (see
// workertest.Fake.Work). Waits have no jitter. A class without a handler is a failure, as in a
// worker. Rehearse returns an error only if the payload is not a job.
func (m *Mux) Rehearse(ctx context.Context, payload string, now time.Time) (Rehearsal, error) {
	j, err := envelope.ParseJob(payload)
	if err != nil {
		return Rehearsal{}, err
	}
	if expired(j, now) {
		return Rehearsal{Outcome: OutcomeExpired}, nil
	}
	class, _ := j.Unwrapped()
	e := m.entries[class]
	var options Options
	if e != nil {
		options = e.Options
	}
	if err = refusal(j, false); err == nil {
		err = pastDeadline(j, options, now)
	}
	if err == nil {
		err = m.Run(ctx, payload)
	}
	store := new(queue.Store) // it only builds payloads
	p := policy{Options: options, maxRetries: defaultMaxRetries, failure: store.Failed,
		again: store.Enqueued, jitter: func(int) int { return 0 },
		log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	d := p.decide(j, j.Queue, err, false, now)
	r := Rehearsal{Outcome: d.told, Err: err, Payload: d.settle.Payload}
	switch d.settle.Action {
	case queue.Retry, queue.Schedule:
		r.At = d.settle.At
	case queue.Forward: // to the end of its queue
		r.At = now
	case queue.Done:
		r.Payload = ""
	}
	return r, nil
}
