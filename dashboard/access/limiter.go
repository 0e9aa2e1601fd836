package access

import (
	"sync"
	"time"
)

const (
	attempts   = 5                      // tries that a key has at once
	refill     = time.Minute / attempts // time after which it has one more
	maxLimited = 10_000                 // keys that are remembered
)

// limiter limits tries to sign in: five at once, and five a minute. It remembers for each key the
// time at which all five are there again.
type limiter struct {
	mu   sync.Mutex
	full map[string]time.Time
}

func newLimiter() *limiter { return &limiter{full: map[string]time.Time{}} }

// take takes a try. If none is left, it takes none, and returns the time until there is one.
func (l *limiter) take(key string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	full := l.full[key]
	if full.Before(now) {
		full = now
	}
	full = full.Add(refill)
	if wait := full.Sub(now) - attempts*refill; wait > 0 {
		return wait
	}
	if _, known := l.full[key]; !known && len(l.full) >= maxLimited {
		l.forget(now)
	}
	l.full[key] = full
	return 0
}

// giveBack gives back a try, because the password was right.
func (l *limiter) giveBack(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if full, known := l.full[key]; known {
		l.full[key] = full.Add(-refill)
	}
}

// forget makes room for a tenth of the keys: it removes those that have all their tries, and if
// they are too few, any others. So an attacker with very many addresses gains nothing by them.
func (l *limiter) forget(now time.Time) {
	for key, full := range l.full {
		if !full.After(now) {
			delete(l.full, key)
		}
	}
	for key := range l.full {
		if len(l.full) <= maxLimited*9/10 {
			return
		}
		delete(l.full, key)
	}
}
