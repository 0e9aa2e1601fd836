package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// backoff gives the waits between attempts that keep failing: doubling from
// 50 ms to 2 s, each with jitter, so that a fleet does not come back at once, and
// comes back within two seconds.
type backoff struct{ failures int }

func (b *backoff) next() time.Duration {
	d := min(50*time.Millisecond<<min(b.failures, 7), 2*time.Second)
	b.failures++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.failures = 0 }

// jittered is d give or take a tenth.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// sleep waits for d, and reports whether ctx lasted so long.
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

// outage keeps the log quiet while Redis is away: it is logged once going down
// and once coming up, whichever loops notice. Safe for concurrent use.
type outage struct {
	log   *slog.Logger
	mu    sync.Mutex
	since time.Time
	who   map[string]bool // the loops that fail
	ended time.Time       // of the last outage, or the start
	err   error

	errors int64         // ever
	down   time.Duration // of all outages that have ended
}

func newOutage(log *slog.Logger) *outage {
	return &outage{log: log, who: map[string]bool{}, ended: time.Now()}
}

// failed notes that a loop's call failed.
func (o *outage) failed(who string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.who) == 0 {
		o.since = time.Now()
		o.log.Error("Redis does not serve us: jobs wait, none is lost", "in", who, "err", err)
	}
	o.who[who], o.err = true, err
	o.errors++
}

// worked notes that a loop's call succeeded.
func (o *outage) worked(who string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.who[who] {
		return
	}
	delete(o.who, who)
	if len(o.who) == 0 {
		o.ended, o.err = time.Now(), nil
		o.down += o.ended.Sub(o.since)
		o.log.Warn("Redis serves us again", "down", o.ended.Sub(o.since).Round(time.Millisecond))
	}
}

// steadyFor is how long Redis has been there without an outage.
func (o *outage) steadyFor() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.who) > 0 {
		return 0
	}
	return time.Since(o.ended)
}

// total is how many calls have failed, and how long Redis was away, ever.
func (o *outage) total() (errors int64, down time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if down = o.down; len(o.who) > 0 {
		down += time.Since(o.since)
	}
	return o.errors, down
}

// last is the error of the outage under way, or nil.
func (o *outage) last() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
