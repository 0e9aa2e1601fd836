package worker

import "time"

// Status describes a Runner at one moment.
type Status struct {
	Identity string        // in Redis; empty before the start
	Ready    bool          // a beat has reached Redis, and every capsule has fetched once
	Threads  int           // of all capsules
	Busy     int           // threads whose handler runs
	Stuck    int           // handlers that have not returned although their time is over
	Quiet    bool          // it takes no more jobs
	Stale    int64         // results that came after the job had been taken away, since the start
	LastErr  error         // of Redis, while it does not serve this process; nil otherwise
	Errors   int64         // calls to Redis that failed, since the start
	Down     time.Duration // for which Redis did not serve this process, since the start
	LastBeat time.Time     // when a beat last reached Redis; the year 1970 if none has
}

// Status returns the present Status. It is safe at any time, also before Run.
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

// Turned returns when the loop that is furthest behind began its last turn. In a healthy process
// that is at most a few seconds ago, whether Redis answers or not. A watchdog asks for it.
func (r *Runner) Turned() time.Time {
	oldest := min(r.heartbeat.turned.Load(), r.owners.turned.Load())
	for _, c := range r.capsules {
		if !r.heartbeat.quiet.Load() { // a quiet process has no fetchers any more
			oldest = min(oldest, c.fetcher.turned.Load())
		}
	}
	return time.UnixMilli(oldest)
}
