package queue

import "time"

// Poison says when a job that crashes its workers goes to the dead set. A job is poison after Times
// crashes within Within if it was alone in the last one; otherwise after 3 × Times. A finished run
// resets the count, which is in the payload: `crashes`, and `crashed_at`, the time of the first
// crash.
type Poison struct {
	Times  int           // 0: no job is poison
	Within time.Duration // counted from the first crash
}

// Suspect reports whether one more crash with j in flight could make it poison. It should run
// alone, so that a crash shows whether j causes it.
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

// notAloneFactor multiplies Times for a job that was not alone in its last crash.
const notAloneFactor = 3
