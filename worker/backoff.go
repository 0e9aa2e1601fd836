package worker

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff returns the waits between attempts that keep failing. They double from 50 ms to 2 s, less
// a random part of up to half. So a fleet does not try again all at once, and each process tries
// again within 2 s. The zero backoff is ready. Only one goroutine may use it.
type backoff struct{ failures int }

// next returns the next wait.
func (b *backoff) next() time.Duration {
	d := min(50*time.Millisecond<<min(b.failures, 7), 2*time.Second)
	b.failures++
	return d/2 + rand.N(d/2)
}

// reset starts again with the shortest wait, after a success.
func (b *backoff) reset() { b.failures = 0 }

// jittered returns a random duration between 9/10 and 11/10 of d.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// sleep waits for d or for the end of ctx. It reports whether it waited for all of d.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
