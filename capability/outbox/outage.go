package outbox

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// outage logs once when rows cannot be moved any more, and once when they are moved again. It is
// safe for concurrent use.
type outage struct {
	log *slog.Logger

	mu       sync.Mutex // guards the rest: Run and each Flush read and write it
	since    time.Time
	until    time.Time // when the next attempt is due
	attempts int
}

// failed returns how long to wait before the next attempt.
func (o *outage) failed(err error, p pauses) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.attempts == 0 {
		o.since = time.Now()
		o.log.Warn("Jobs of the outbox cannot be pushed: their rows wait", "err", err)
	}
	o.attempts++
	wait := min(p.backoff, p.busy<<min(o.attempts, 10))
	wait = wait/2 + rand.N(wait/2)
	o.until = time.Now().Add(wait)
	return wait
}

func (o *outage) ended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.attempts > 0 {
		o.log.Info("Jobs of the outbox are pushed again", "after",
			time.Since(o.since).Round(time.Millisecond))
	}
	o.attempts, o.until = 0, time.Time{}
}

// on reports whether the last attempt failed and the next is not due yet.
func (o *outage) on() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attempts > 0 && time.Now().Before(o.until)
}
