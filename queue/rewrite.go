package queue

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Enqueued is a job's payload as it goes into a queue again: with a new
// enqueued_at, without at, and with the defaults that a push would give it.
func (s *Store) Enqueued(j *Job, now time.Time) string {
	var p envelope.Patch
	p.Remove("at")
	survived(&p)
	if j.Field("queue") == "" {
		p.SetString("queue", "default")
	}
	if j.Field("retry") == "" {
		p.Set("retry", "true")
	}
	p.SetTime("enqueued_at", now, s.timestamps, j)
	return p.Apply(j)
}

// retriedByHand is requeued with one attempt given back, as Sidekiq's API does:
// 0 becomes -1 (docs/wire.md 3.1).
func (s *Store) retriedByHand(j *Job, now time.Time) string {
	raw := s.Enqueued(j, now)
	n, ok := j.RetryCount()
	if !ok {
		return raw
	}
	again, err := envelope.ParseJob(raw)
	if err != nil {
		return raw // it was parsed before: it is one
	}
	var p envelope.Patch
	p.Set("retry_count", strconv.Itoa(n-1))
	return p.Apply(again)
}

// Failed is what a failure at time at changes in j's payload; the caller
// sets the fields of the error.
func (s *Store) Failed(j *Job, at time.Time) *envelope.Patch {
	p := new(envelope.Patch)
	survived(p)
	if n, ok := j.RetryCount(); ok {
		p.SetInt("retry_count", int64(n)+1)
		p.SetTime("retried_at", at, s.timestamps, j)
		return p
	}
	p.SetInt("retry_count", 0)
	p.SetTime("failed_at", at, s.timestamps, j)
	return p
}

// crashed is the payload of a job whose owner died with it in flight, alone or with
// others, and whether it is poison now. Then the payload says why it is dead.
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
		times *= hopeless
	}
	if n+1 < times {
		return patch.Apply(j), false
	}
	patch.SetString("queue", queue)
	patch.SetString("error_class", "kyu.Poison")
	patch.SetString("error_message", fmt.Sprintf("%d workers died with this job in their hands "+
		"within %v: it was not run again", n+1, p.Within))
	key := "failed_at"
	if j.Field(key) != "" {
		key = "retried_at"
	}
	patch.SetTime(key, now, s.timestamps, j)
	return envelope.ForDeadSet(patch.Apply(j)), true
}

// survived resets the count of crashes: the job has run to an end.
func survived(p *envelope.Patch) {
	p.Remove(fieldCrashes)
	p.Remove(fieldCrashedAt)
}
