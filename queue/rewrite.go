package queue

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Enqueued returns a job's payload for its queue: with a new enqueued_at, without at, with the
// defaults of a push, and with the count of crashes reset.
func (s *Store) Enqueued(j *Job, now time.Time) string {
	var p envelope.Patch
	p.Remove("at")
	resetCrashes(&p)
	if j.Field("queue") == "" {
		p.SetString("queue", "default")
	}
	if j.Field("retry") == "" {
		p.Set("retry", "true")
	}
	p.SetTime("enqueued_at", now, s.timestamps, j)
	return p.Apply(j)
}

// retriedByHand is Enqueued with one attempt given back, as Sidekiq's API does: 0 becomes -1
// (docs/wire.md 3.1).
func (s *Store) retriedByHand(j *Job, now time.Time) string {
	raw := s.Enqueued(j, now)
	n, ok := j.RetryCount()
	if !ok {
		return raw
	}
	again, err := envelope.ParseJob(raw)
	if err != nil {
		return raw // cannot happen: j was parsed before
	}
	var p envelope.Patch
	p.Set("retry_count", strconv.Itoa(n-1))
	return p.Apply(again)
}

// Failed returns the changes of j's payload after a failure at the time at. The caller sets the
// fields of the error.
func (s *Store) Failed(j *Job, at time.Time) *envelope.Patch {
	p := new(envelope.Patch)
	resetCrashes(p)
	if n, ok := j.RetryCount(); ok {
		p.SetInt("retry_count", int64(n)+1)
		p.SetTime("retried_at", at, s.timestamps, j)
		return p
	}
	p.SetInt("retry_count", 0)
	p.SetTime("failed_at", at, s.timestamps, j)
	return p
}

// crashed returns the payload of a job for which a crash is counted, and whether the job is poison
// now. If it is, the payload holds the reason. alone says that its owner ran only this job.
func (s *Store) crashed(j *Job, queue string, p Poison, alone bool,
	now time.Time) (payload string, dead bool) {
	n, _ := j.Int(fieldCrashes)
	first := j.Time(fieldCrashedAt)
	var patch envelope.Patch
	if n < 1 || first.IsZero() || now.Sub(first) > p.Within {
		n = 0
		patch.SetTime(fieldCrashedAt, now, s.timestamps, j)
	}
	patch.SetInt(fieldCrashes, n+1)
	times := int64(p.Times)
	if !alone && p.Times > 1 {
		times *= notAloneFactor
	}
	if n+1 < times {
		return patch.Apply(j), false
	}
	patch.SetString("queue", queue)
	patch.SetString("error_class", "kyu.Poison")
	patch.SetString("error_message", fmt.Sprintf("%d workers died with this job in flight, "+
		"within %v: it was not run again", n+1, p.Within))
	key := "failed_at"
	if j.Field(key) != "" {
		key = "retried_at"
	}
	patch.SetTime(key, now, s.timestamps, j)
	return envelope.ForDeadSet(patch.Apply(j)), true
}

// resetCrashes resets the count of crashes, because the job has run to an end.
func resetCrashes(p *envelope.Patch) {
	p.Remove(fieldCrashes)
	p.Remove(fieldCrashedAt)
}
