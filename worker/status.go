package worker

import (
	"errors"
	"math"
	"time"
)

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

// Status returns the present Status. It is safe at any time, also before Run. With several shards
// the Identity is that of the first, Errors is the sum, Down that of the shard that was away for
// the longest time, and LastErr names the shards that are away. Such a process is Ready, and beats,
// while one shard serves it.
func (r *Runner) Status() Status {
	s := Status{Threads: r.config.Threads(), Busy: len(r.work(nil)), Stuck: int(r.stuck.Load()),
		Quiet: r.quiet.Load()}
	var away []error
	last := int64(0)
	for _, shard := range r.shards {
		errors, down := shard.outage.total()
		s.Errors += errors
		s.Down = max(s.Down, down)
		s.Stale += shard.ledger.stale.Load()
		last = max(last, shard.owners.last.Load())
		if err := shard.outage.last(); err != nil {
			away = append(away, shard.explain(err))
		}
	}
	s.LastErr = joined(away)
	s.LastBeat = time.UnixMilli(last)
	if o := r.shards[0].owners.current(); o != nil {
		s.Identity = o.Identity
	}
	s.Ready = last > 0
	for _, f := range r.fetchers {
		s.Ready = s.Ready && f.hasFetched()
	}
	return s
}

// joined returns one error for all, or the only one as it is.
func joined(list []error) error {
	if len(list) == 1 {
		return list[0]
	}
	return errors.Join(list...)
}

// Turned returns when the loop that is furthest behind began its last turn. In a healthy process
// that is at most a few seconds ago, whether Redis answers or not. A watchdog asks for it.
func (r *Runner) Turned() time.Time {
	oldest := int64(math.MaxInt64)
	for _, s := range r.shards {
		if s.isOpen() || len(r.shards) == 1 {
			oldest = min(oldest, s.heartbeat.turned.Load(), s.owners.turned.Load())
		}
	}
	for _, f := range r.fetchers {
		if !r.quiet.Load() { // a quiet process has no fetchers any more
			oldest = min(oldest, f.turned.Load())
		}
	}
	return time.UnixMilli(oldest)
}
