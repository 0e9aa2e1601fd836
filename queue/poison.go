package queue

import (
	"time"
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
