package worker

import "time"

// Status is a Runner at a glance.
type Status struct {
	Identity string
	Ready    bool // it has beaten, and looked into its queues
	Threads  int
	Busy     int
	Stuck    int // handlers that ignore their end
	Quiet    bool
	Stale    int64         // settlements that came after the job had been taken away
	LastErr  error         // of Redis, while it does not serve us
	Errors   int64         // of Redis, ever
	Down     time.Duration // that Redis did not serve us, ever
	LastBeat time.Time
}

// Status tells how the Runner is. Safe to call at any time.
func (r *Runner) Status() Status {
	s := Status{Threads: r.config.Threads(), Busy: len(r.work()),
		Stuck: int(r.heartbeat.stuck.Load()),
		Quiet: r.heartbeat.quiet.Load(), LastErr: r.outage.last(), Stale: r.ledger.stale.Load(),
		LastBeat: time.UnixMilli(r.owners.last.Load())}
	if o := r.owners.current(); o != nil {
		s.Identity = o.Identity
	}
	s.Errors, s.Down = r.outage.total()
	s.Ready = r.owners.last.Load() > 0
	for _, c := range r.capsules {
		s.Ready = s.Ready && c.fetcher.fetched.Load()
	}
	return s
}

// Turned is when the laziest of the loops last turned over: of a healthy
// process, Redis there or not, a few seconds ago. A watchdog asks.
func (r *Runner) Turned() time.Time {
	oldest := min(r.heartbeat.turned.Load(), r.owners.turned.Load())
	for _, c := range r.capsules {
		if !r.heartbeat.quiet.Load() { // then the fetchers have ended
			oldest = min(oldest, c.fetcher.turned.Load())
		}
	}
	return time.UnixMilli(oldest)
}
