package protocol

import "time"

const (
	// Silent is how long a shard may send no reply before it is left out: the other shards are
	// served as if it had no jobs.
	Silent = 250 * time.Millisecond
	// refresh is the age at which figures of a shard are renewed, also while another shard holds
	// jobs of the first queue: otherwise nobody would see that this one has some too.
	refresh = 20 * time.Millisecond
)

// Looks is what one capsule knows about the lengths of its queues in several shards. It decides
// from which shard to take jobs, so that this holds: no job is taken from a lower queue unless, at
// most Tau and one reply ago, every shard that answers was seen without a job in a higher one. The
// reply is that of the slowest shard, because a decision needs the figures of all. With one shard
// no Looks is needed: its script takes jobs in order. Only one goroutine may use it.
type Looks struct {
	// Tau is how old the figures of a shard may be when a job is taken from a lower queue.
	Tau    time.Duration
	strict bool // queues are taken in their order; otherwise any job may be next
	shards []look
	turn   int // the shard that was chosen last
}

// look is what is known about one shard.
type look struct {
	lengths []int         // by queue of the capsule
	at      time.Time     // when they were asked for; zero: they are not known
	since   time.Time     // figures that were asked for earlier do not count
	took    time.Duration // how long the reply took
	awaited int           // replies that have not come
	silent  time.Time     // since when none of these has come
	out     bool          // it is left out
}

// NewLooks knows nothing yet about any shard. queues is the number of the capsule's queues.
func NewLooks(shards, queues int, strict bool) *Looks {
	l := &Looks{Tau: time.Millisecond, strict: strict, shards: make([]look, shards)}
	for i := range l.shards {
		l.shards[i].lengths = make([]int, queues)
	}
	return l
}

// Asked records that a shard is asked for its lengths, by a look or by a trip.
func (l *Looks) Asked(shard int, now time.Time) {
	s := &l.shards[shard]
	if s.awaited == 0 {
		s.silent = now
	}
	s.awaited++
}

// Answered records the reply of a look or, if t is not nil, of a trip. lengths is nil if it does
// not say how long the queues are: then the shard is left out until a look at it succeeds.
func (l *Looks) Answered(shard int, t *Trip, lengths []int, asked, now time.Time) {
	s := &l.shards[shard]
	s.awaited, s.silent = s.awaited-1, now
	if s.out = lengths == nil; s.out {
		s.forget()
		return
	}
	if asked.Before(s.since) {
		return
	}
	copy(s.lengths, lengths)
	s.at, s.since, s.took = asked, asked, now.Sub(asked)
	if t != nil && t.Err == nil && !t.Got.More && len(t.Got.Jobs) < t.Want {
		clear(s.lengths[:t.Queues]) // the trip knows better which jobs may be taken
	}
}

// forget drops the figures of a shard.
func (s *look) forget() {
	s.at, s.took = time.Time{}, 0
	clear(s.lengths)
}

// Out reports whether a shard is left out.
func (l *Looks) Out(shard int) bool { return l.shards[shard].out }

// Late returns how long to wait until a shard has to be left out; 0: no reply is awaited.
func (l *Looks) Late(now time.Time) (wait time.Duration) {
	for i := range l.shards {
		if s := &l.shards[i]; s.awaited > 0 && !s.out {
			if left := max(Silent-now.Sub(s.silent), 1); wait == 0 || left < wait {
				wait = left
			}
		}
	}
	return wait
}

// Site is a shard as a capsule finds it.
type Site struct {
	*Process
	Open  bool // trips may be made to it: the wait after a failure has ended
	Held  bool // its lease surely holds
	Limit int  // the most jobs of a trip
}

// Step is what a capsule does next. Then it waits for an event, or for Wait if that is not 0.
type Step struct {
	Wait   time.Duration
	Left   []int // shards that are left out from now on, because they have sent no reply
	Look   []int // shards to ask how long their queues are
	Shard  int   // the shard to which a trip is made; -1: none
	Queues int   // from how many of the first queues the trip may take jobs; 0: it takes none
	Rest   []int // shards in which doorbells are to be hung, because nothing can be taken
}

// Step decides what a capsule does next. sites are the shards, joined.
func (l *Looks) Step(now time.Time, ci int, sites []Site) Step {
	step := Step{Shard: -1, Left: l.leaveOut(now)}
	due, any := make([]bool, len(sites)), false
	for i, p := range sites {
		p.Out(ci, l.shards[i].out)
		if l.holdsAny(i, ci, p) { // doorbells would bring one job after the other
			p.Wake(ci)
		}
	}
	for i, p := range sites {
		due[i] = p.Open && p.Held && p.Due(ci, p.Limit)
		any = any || due[i]
	}
	if !any {
		return step
	}
	for i := range sites {
		if s := &l.shards[i]; due[i] && s.out && s.awaited == 0 {
			step.Look = append(step.Look, i)
		}
	}
	if l.putBack(&step, now, ci, sites, due) || !l.choose(&step, now, ci, sites, due) {
		return step
	}
	for i, p := range sites {
		if !l.shards[i].out && p.Rest(ci) {
			step.Rest = append(step.Rest, i)
		}
	}
	return step
}

// leaveOut leaves out the shards that have sent no reply for Silent, and returns them.
func (l *Looks) leaveOut(now time.Time) (left []int) {
	for i := range l.shards {
		s := &l.shards[i]
		if s.awaited > 0 && !s.out && now.Sub(s.silent) >= Silent {
			s.out = true
			s.forget()
			left = append(left, i)
		}
	}
	return left
}

// putBack decides about jobs that doorbells brought, and reports whether a trip is made for them.
// Only one of the first queue may start without a look at the other shards. For others the trip
// only puts them back and reads how long the queues are. Until that is known, the figures of the
// shard do not count, because they lack the job.
func (l *Looks) putBack(step *Step, now time.Time, ci int, sites []Site, due []bool) bool {
	for i, p := range sites {
		any, first := p.Rang(ci)
		if !any || !due[i] || l.shards[i].out {
			continue
		}
		l.shards[i].forget()
		l.shards[i].since = now.Add(1) // a look that was sent in this instant was sent before
		queues := 0
		switch {
		case !l.strict:
			queues = len(l.shards[i].lengths)
		case first:
			queues = 1
		}
		if queues > 0 || !p.Underway(ci) {
			step.Shard, step.Queues = i, queues
			return true
		}
	}
	return false
}

// choose decides where to look and where to take jobs. It reports whether nothing can be taken.
//
// The shards are asked together, when no reply is awaited. Otherwise the figures of one could be
// too old whenever those of another come, again and again.
func (l *Looks) choose(step *Step, now time.Time, ci int, sites []Site, due []bool) (empty bool) {
	level, shard, busy := l.first(ci, sites, due)
	known := !l.strict || level == 0 // where the next job is; lower queues do not matter
	old := l.Tau
	if known {
		old = refresh
	}
	stale, awaited := l.stale(now, old)
	if stale && (known || !awaited) {
		step.Look = append(step.Look, l.older(now, old)...)
	}
	switch {
	case level < 0:
		return !stale
	case stale && !known:
		return false // a reply decides
	case busy: // the shard has no seat or a trip is under way; meanwhile others may get jobs
		step.Wait = refresh
		return false
	}
	step.Shard, step.Queues, l.turn = shard, level+1, shard
	if !l.strict {
		step.Queues = len(l.shards[shard].lengths)
	}
	return false
}

// stale reports whether the figures of a shard are older than a time and the slowest reply, and
// whether a reply is awaited. Shards that are left out do not count.
func (l *Looks) stale(now time.Time, old time.Duration) (stale, awaited bool) {
	var slowest time.Duration
	for i := range l.shards {
		slowest = max(slowest, l.shards[i].took)
	}
	for i := range l.shards {
		if s := &l.shards[i]; !s.out {
			stale = stale || s.at.IsZero() || now.Sub(s.at) > old+slowest
			awaited = awaited || s.awaited > 0
		}
	}
	return stale, awaited
}

// older lists the shards whose figures are older than a time, and of which no reply is awaited.
func (l *Looks) older(now time.Time, old time.Duration) (list []int) {
	for i := range l.shards {
		if s := &l.shards[i]; !s.out && s.awaited == 0 && (s.at.IsZero() || now.Sub(s.at) > old) {
			list = append(list, i)
		}
	}
	return list
}

// first returns the first queue of which a shard is known to hold jobs, or -1, and the next shard
// in turn that holds some and to which a trip can be made. busy says that none can.
func (l *Looks) first(ci int, sites []Site, due []bool) (level, shard int, busy bool) {
	for level := range l.shards[0].lengths {
		for k := range l.shards {
			i := (l.turn + 1 + k) % len(l.shards)
			if l.shards[i].out || !l.holds(i, level, ci, sites[i]) {
				continue
			}
			if due[i] {
				return level, i, false
			}
			busy = true
		}
		if busy {
			return level, -1, true
		}
	}
	return -1, -1, false
}

// holdsAny reports whether a shard is known to hold jobs that can be taken.
func (l *Looks) holdsAny(shard, ci int, p Site) bool {
	for place := range l.shards[shard].lengths {
		if l.holds(shard, place, ci, p) {
			return true
		}
	}
	return false
}

// holds reports whether a shard is known to hold jobs of a queue that can be taken; without order,
// of any queue.
func (l *Looks) holds(shard, level, ci int, p Site) bool {
	for place, n := range l.shards[shard].lengths {
		if (place == level || !l.strict) && n > 0 && p.Held && p.Takes(ci, place) {
			return true
		}
	}
	return false
}
