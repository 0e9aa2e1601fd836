package worker

import (
	"slices"
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

// choose does what protocol.Looks decides, with several shards: it looks at some, or makes a round
// trip to one. It reports whether there may be more to do at once.
func (f *fetcher) choose() (again bool) {
	f.leaveOut()
	free := f.due()
	if !slices.Contains(free, true) {
		return false
	}
	f.probe(free)
	for i, s := range f.shards {
		if queues, rang := f.rang(s); rang && free[i] && !f.looks.Out(i) {
			return f.fetch(s, queues)
		}
	}
	c := f.next(free)
	for _, i := range c.Look {
		f.ask(f.shards[i])
	}
	switch {
	case c.Shard >= 0:
		return f.fetch(f.shards[c.Shard], c.Queues)
	case c.Empty:
		f.sleep()
	}
	return false
}

// leaveOut leaves out the shards that have sent no reply for a while.
func (f *fetcher) leaveOut() {
	out, _ := f.looks.Late(time.Now())
	for _, i := range out {
		f.setOut(f.shards[i], true)
		f.shards[i].log.Warn("the shard sends no reply: it is left out until it does", "for",
			logSeconds(protocol.Silent), "capsule", f.pool.name)
	}
}

// setOut tells the ledger whether a shard is left out.
func (f *fetcher) setOut(s *origin, out bool) {
	s.ledger.locked(func(p *protocol.Process) { p.Out(f.pool.index, out) })
	notify(f.pool.freed) // its seats are free for the other shards, or taken again
}

// due returns which shards have a reason for a round trip, and may have one now.
func (f *fetcher) due() []bool {
	free, now := make([]bool, len(f.shards)), time.Now()
	for i, s := range f.shards {
		free[i] = f.look(s) && !now.Before(s.pace.notTill) && s.isOpen() && s.owners.valid(now)
	}
	return free
}

// probe asks the shards that are left out whether they answer again.
func (f *fetcher) probe(free []bool) {
	for i, s := range f.shards {
		if free[i] && f.looks.Out(i) && !f.looks.Awaited(i) {
			s.rest() // until the next attempt, if this one fails
			f.ask(s)
		}
	}
}

// rang reports whether a doorbell of a shard rang. Only a job of the first queue may start without
// a look at the other shards. Otherwise the round trip to take it with only puts the job back, and
// reads how long the queues are: queues is 0.
func (f *fetcher) rang(s *origin) (queues int, rang bool) {
	s.ledger.locked(func(p *protocol.Process) {
		any, first := p.Rang(f.pool.index)
		rang = any
		switch {
		case f.capsule.Mode() != Strict:
			queues = len(f.names)
		case first:
			queues = 1
		}
	})
	return queues, rang
}

// next decides what to do next.
func (f *fetcher) next(free []bool) (c protocol.Choice) {
	f.looks.Tau = f.tau()
	now := time.Now()
	may := func(i int) bool { return free[i] }
	takes := func(i, place int) bool {
		s := f.shards[i]
		return s.owners.valid(now) && s.ledger.process.Takes(f.pool.index, place)
	}
	mu := f.pool.mu()
	mu.Lock()
	defer mu.Unlock()
	return f.looks.Next(now, may, takes)
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
	t.Shard = s.index
	f.submit(errand{to: s, trip: t})
	return true
}

// ask has a sender look at a shard.
func (f *fetcher) ask(s *origin) { f.submit(errand{to: s}) }

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

// sleep has doorbells hung in all shards that answer: their queues are empty.
func (f *fetcher) sleep() {
	for i, s := range f.shards {
		if f.looks.Out(i) {
			continue
		}
		var news bool
		s.ledger.locked(func(p *protocol.Process) { news = p.Rest(f.pool.index) })
		if news {
			notify(s.ledger.bells)
		}
	}
}

// learn records what a reply says about the lengths of the queues.
func (f *fetcher) learn(e errand) {
	s, out := e.to, f.looks.Out(e.to.index)
	switch {
	case e.lengths != nil:
		f.looks.Seen(s.index, e.lengths, e.sent, time.Now())
		if t := e.trip; t != nil && t.Err == nil && !t.Got.More && len(t.Got.Jobs) < t.Want {
			f.looks.Short(s.index, f.taken(t), e.sent)
		}
	case e.err != nil || e.trip != nil && e.trip.Err != nil:
		f.looks.Failed(s.index)
	default: // the lengths are not known: look
		f.looks.Failed(s.index)
		s.pace.notTill = time.Time{}
	}
	if e.err != nil {
		s.outage.failed("look", e.err)
		s.rest()
	} else if e.trip == nil {
		s.outage.worked("look")
		f.wake(s, e.lengths)
	}
	if now := f.looks.Out(s.index); now != out {
		f.setOut(s, now)
		if !now {
			s.pace.notTill = time.Time{}
			s.log.Info("the shard answers again", "capsule", f.pool.name)
		}
	}
}

// taken returns from how many of the first queues a trip may have taken all jobs.
func (f *fetcher) taken(t *protocol.Trip) int {
	if !t.Partial {
		return len(f.names)
	}
	n := 0
	for place, q := range f.queues {
		if slices.ContainsFunc(t.Turns, func(turn protocol.Turn) bool { return turn.Queue == q }) &&
			place == n {
			n++
		}
	}
	return n
}

// wake has the capsule take jobs from a shard in which a look has found some.
func (f *fetcher) wake(s *origin, lengths []int) {
	for _, n := range lengths {
		if n > 0 {
			s.ledger.locked(func(p *protocol.Process) { p.Wake(f.pool.index) })
			return
		}
	}
}
