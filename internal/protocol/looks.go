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
// most Tau and one reply ago, every shard that answers was seen without a job in a higher one. With
// one shard no Looks is needed: its script takes jobs in order. Only one goroutine may use it.
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
	took    time.Duration // how long the reply took
	asked   time.Time     // since when a reply is awaited; zero: none is
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
	if s := &l.shards[shard]; s.asked.IsZero() {
		s.asked = now
	}
}

// Seen records lengths that were asked for at a time. A shard that was left out is back.
func (l *Looks) Seen(shard int, lengths []int, asked, now time.Time) {
	s := &l.shards[shard]
	s.asked, s.out = time.Time{}, false
	if !asked.Before(s.at) {
		copy(s.lengths, lengths)
		s.at, s.took = asked, now.Sub(asked)
	}
}

// Short records a trip that was asked for at a time and found no more jobs in the first queues.
// That counts, and not the lengths: the trip knows which jobs may be taken.
func (l *Looks) Short(shard, queues int, asked time.Time) {
	if s := &l.shards[shard]; !asked.Before(s.at) {
		clear(s.lengths[:queues])
	}
}

// Failed records that a shard sent no answer: it is left out until it does.
func (l *Looks) Failed(shard int) {
	s := &l.shards[shard]
	s.asked, s.out, s.at = time.Time{}, true, time.Time{}
	clear(s.lengths)
}

// Out reports whether a shard is left out.
func (l *Looks) Out(shard int) bool { return l.shards[shard].out }

// Awaited reports whether a reply of a shard is awaited.
func (l *Looks) Awaited(shard int) bool { return !l.shards[shard].asked.IsZero() }

// Late leaves out the shards that have sent no reply for Silent, and returns those that were not
// left out before. wait is how long to wait for the next one; 0: for none.
func (l *Looks) Late(now time.Time) (out []int, wait time.Duration) {
	for i := range l.shards {
		s := &l.shards[i]
		if s.asked.IsZero() || s.out {
			continue
		}
		left := Silent - now.Sub(s.asked)
		switch {
		case left <= 0:
			s.out, s.at = true, time.Time{}
			clear(s.lengths)
			out = append(out, i)
		case wait == 0 || left < wait:
			wait = left
		}
	}
	return out, wait
}

// Choice is what a capsule does next: it asks the shards of Look, or makes a trip to a shard, or
// neither. Then it waits for an event; Empty says that there is nothing to take.
type Choice struct {
	Look   []int
	Shard  int // -1: no trip
	Queues int // from how many of the first queues it may take jobs
	Empty  bool
}

// Next decides what to do. may reports whether a trip can be made to a shard now. takes reports
// whether a trip to a shard could take jobs from a queue, by its place in the capsule.
func (l *Looks) Next(now time.Time, may func(shard int) bool,
	takes func(shard, place int) bool) Choice {
	level, shard, busy := l.first(may, takes)
	old := refresh
	if level != 0 && l.strict {
		old = l.Tau
	}
	c := Choice{Shard: -1}
	awaits := false
	for i := range l.shards {
		s := &l.shards[i]
		if s.out || !s.at.IsZero() && now.Sub(s.at) <= old+s.took {
			continue
		}
		if awaits = true; s.asked.IsZero() {
			c.Look = append(c.Look, i)
		}
	}
	switch {
	case level < 0:
		c.Empty = !awaits
	case awaits && (level > 0 && l.strict), busy:
		// A reply decides, or the trip that is under way.
	default:
		c.Shard, c.Queues = shard, level+1
		if !l.strict {
			c.Queues = len(l.shards[shard].lengths)
		}
		l.turn = shard
	}
	return c
}

// first returns the first queue of which a shard is known to hold jobs, or -1, and the next shard
// in turn that holds some and to which a trip can be made. busy says that none can.
func (l *Looks) first(may func(int) bool, takes func(int, int) bool) (level, shard int, busy bool) {
	places := len(l.shards[0].lengths)
	for level := range places {
		any := false
		for k := range l.shards {
			i := (l.turn + 1 + k) % len(l.shards)
			if l.shards[i].out || !l.holds(i, level, takes) {
				continue
			}
			if any = true; may(i) {
				return level, i, false
			}
		}
		if any {
			return level, -1, true
		}
	}
	return -1, -1, false
}

// holds reports whether a shard is known to hold jobs of a queue that can be taken; without order,
// of any queue.
func (l *Looks) holds(shard, level int, takes func(int, int) bool) bool {
	for place, n := range l.shards[shard].lengths {
		if (place == level || !l.strict) && n > 0 && takes(shard, place) {
			return true
		}
	}
	return false
}
