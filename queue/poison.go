package queue

import (
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Poison says when a job that keeps coming back from dead owners is dead itself. The job
// carries the count: `crashes`, and `crashed_at`, the time of the first. A run that ends, well
// or not, resets it. A job is poison after Times crashes within Within if only it ran when
// the last owner died; otherwise after three times as many, for then it cannot be had alone.
type Poison struct {
	Times  int           // it dies when it came back so often; 0: never
	Within time.Duration // counted from the first time
}

// Suspect reports whether one more crash with j in flight would make it poison,
// so that it must be seen to be j's own: it is to run alone.
func (p Poison) Suspect(j *Job) bool {
	if p.Times < 2 {
		return false
	}
	n, ok := j.Int(fieldCrashes)
	return ok && n >= int64(p.Times-1)
}

const (
	fieldCrashes   = "crashes"
	fieldCrashedAt = "crashed_at"
)

// hopeless is how many times as many crashes make a job poison that was never alone
// in a dead owner's hands.
const hopeless = 3

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
	return patch.Apply(j), true
}

// survived resets the count of crashes: the job has run to an end.
func survived(p *envelope.Patch) {
	p.Remove(fieldCrashes)
	p.Remove(fieldCrashedAt)
}
