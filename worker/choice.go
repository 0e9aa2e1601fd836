package worker

import (
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/protocol"
)

const (
	// lookCost is how much of a shard's time a capsule may take for its looks: a look costs Redis
	// about 6 µs (docs/performance.md), and with this time between two looks of each capsule of the
	// fleet the looks take 5 % of a core.
	lookCost = 120 * time.Microsecond
	// The bounds of the age of figures by which a job of a lower queue is taken.
	leastTau = time.Millisecond
	mostTau  = 50 * time.Millisecond
)

// choose carries out what protocol.Looks decides, with several shards: it looks at some, or makes
// a round trip to one. It reports whether there may be more to do at once.
func (f *fetcher) choose() (again bool) {
	step := f.next()
	f.wait = step.Wait
	for _, i := range step.Left {
		f.shards[i].log.Warn("the shard sends no reply: it is left out until it does", "for",
			logSeconds(protocol.Silent), "capsule", f.pool.name)
	}
	for _, i := range step.Look {
		s := f.shards[i]
		if f.looks.Out(i) {
			s.rest() // until the next attempt, if this one fails
		}
		f.submit(errand{to: s})
	}
	for _, i := range step.Rest {
		notify(f.shards[i].ledger.bells)
	}
	return step.Shard >= 0 && f.fetch(f.shards[step.Shard], step.Queues)
}

// next decides what to do next.
func (f *fetcher) next() protocol.Step {
	f.looks.Tau = f.tau()
	sites, now := make([]protocol.Site, len(f.shards)), time.Now()
	for i, s := range f.shards {
		f.look(s)
		sites[i] = protocol.Site{Process: s.ledger.process, Limit: f.limit(s),
			Open: s.isOpen() && !now.Before(s.pace.notTill), Held: s.owners.valid(now)}
	}
	mu := f.pool.mu()
	mu.Lock()
	defer mu.Unlock()
	return f.looks.Step(now, f.pool.index, sites)
}

// tau returns how old figures may be by which a job of a lower queue is taken. It grows with the
// fleet, so that all looks together take a bounded part of each Redis.
func (f *fetcher) tau() time.Duration {
	n := int64(1)
	for _, s := range f.shards {
		n = max(n, s.fleet.Load())
	}
	capsules := n * int64(len(f.shards[0].ledger.pools))
	return min(max(leastTau, time.Duration(capsules)*lookCost), mostTau)
}

// fetch has a sender make a round trip to a shard, and reports whether one was due.
func (f *fetcher) fetch(s *origin, queues int) bool {
	f.gather()
	t := f.begin(s, queues)
	if t == nil {
		return false
	}
	failpoint.Hit("before_fetch")
	f.submit(errand{to: s, trip: t})
	return true
}

// submit hands an errand to a sender of its shard.
func (f *fetcher) submit(e errand) {
	e.sent = time.Now()
	for place, q := range f.queues {
		if e.to.ledger.isSourced(q) {
			e.sources = append(e.sources, place)
		}
	}
	f.looks.Asked(e.to.index, e.sent)
	e.to.errands <- e
}

// learn records what a reply says about the lengths of the queues.
func (f *fetcher) learn(e errand) {
	s, was := e.to, f.looks.Out(e.to.index)
	f.looks.Answered(s.index, e.trip, e.lengths, e.sent, time.Now())
	switch {
	case e.err != nil:
		s.outage.failed("look", e.err)
		s.rest()
	case e.trip == nil:
		s.outage.worked("look")
	case e.lengths == nil && e.trip.Err == nil: // Redis was new: look at once
		s.pace.notTill = time.Time{}
	}
	if was && !f.looks.Out(s.index) {
		s.pace.notTill = time.Time{}
		s.log.Info("the shard answers again", "capsule", f.pool.name)
	}
}
