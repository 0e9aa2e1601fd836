package worker

import (
	"log/slog"
	"sync"
	"time"
)

// outage logs when Redis stops to serve the process and when it serves the process again: one line
// each, however many loops notice. Safe for concurrent use.
type outage struct {
	log *slog.Logger

	// mu guards the rest. The loops write it; Status and the reclaimer read it.
	mu      sync.Mutex
	since   time.Time       // when the present outage began
	failing map[string]bool // the loops whose last call failed, by name
	ended   time.Time       // when the last outage ended, or the process started
	err     error           // the last error of the present outage; nil: there is none
	errors  int64           // failed calls since the start
	down    time.Duration   // of all outages that have ended
}

func newOutage(log *slog.Logger) *outage {
	return &outage{log: log, failing: map[string]bool{}, ended: time.Now()}
}

// failed notes that a call of a loop failed.
func (o *outage) failed(loop string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) == 0 {
		o.since = time.Now()
		o.log.Error("Redis does not serve us: jobs wait, none is lost", "in", loop, "err", err)
	}
	o.failing[loop], o.err = true, err
	o.errors++
}

// worked notes that a call of a loop succeeded.
func (o *outage) worked(loop string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.failing[loop] {
		return
	}
	delete(o.failing, loop)
	if len(o.failing) == 0 {
		o.ended, o.err = time.Now(), nil
		o.down += o.ended.Sub(o.since)
		o.log.Warn("Redis serves us again", "down", logSeconds(o.ended.Sub(o.since)))
	}
}

// steadyFor returns for how long Redis has served the process without an outage.
func (o *outage) steadyFor() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) > 0 {
		return 0
	}
	return time.Since(o.ended)
}

// total returns how many calls have failed, and for how long Redis has not served the process,
// since the start.
func (o *outage) total() (errors int64, down time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if down = o.down; len(o.failing) > 0 {
		down += time.Since(o.since)
	}
	return o.errors, down
}

// last returns the last error of the present outage, or nil.
func (o *outage) last() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
