// Package model is the protocol of docs/internals.md as a state machine, small
// enough to be searched: every order in which workers, lost replies, crashes, pauses
// and a restart of Redis can come. It shows that a job is always in exactly one place,
// that somebody can always get at it, that only its owner settles it, and that it
// ends once; and, for each safeguard of the protocol, what happens without it.
package model

const (
	workers    = 3
	jobs       = 2
	identities = 2 // that a worker can have, one after the other
)

// Design is the protocol, less the safeguards that are taken out.
type Design struct {
	Name string

	PopThenPush  bool // the poller removes a due job and pushes it with a second command
	PopThenKeep  bool // a fetch pops, and writes down what it holds with a second command
	NoLanding    bool // a doorbell is BRPOP: what it brings is nowhere
	RetryInTwo   bool // a failed job is taken out of flight, and put into the retry set with a second command
	NoToken      bool // whoever ran a job settles it by its id, in whosever hands it is
	NoAudit      bool // a worker does not compare what it holds with what Redis says
	NoReclaim    bool // nobody looks after the dead
	NoLandingRec bool // a reclaimer forgets the landing lists
	BuryAtOnce   bool // an identity is forgotten as soon as it holds nothing
	NoLeaseCheck bool // a fetch does not ask whether the lease is lost
}

// Budget is how many faults may come, and how often a job may run.
type Budget struct {
	Crashes, Pauses, Lost, Restarts int8
	Runs                            int8 // of a job that end well
	Fails                           int8 // of a job; with the last it is dead
	Tokens                          int8 // deliveries of an identity
}

// Result is what a search found.
type Result struct {
	States   int
	Complete bool // all states that the budget allows
	Lost     int  // states with a job that is nowhere
	Doubled  int  // with a job in two places
	Stranded int  // with a job that nobody can get at
	Foreign  int  // removals of a job from another's hands
	Twice    int  // with a job that ended in two ways, or ended and is still there
}

// Violations is all that must not be.
func (r Result) Violations() int { return r.Lost + r.Doubled + r.Stranded + r.Foreign + r.Twice }

const ( // of a worker's process
	up = iota
	paused
	down
)

const ( // of an identity's lease, in Redis
	none = iota
	held
	ended
	fenced
	buried
)

const ( // of a job in a worker's own memory
	idle = iota
	holds
	ranWell
	failed
	halfway // between the two commands of a design that needs two
)

// landed is the token of a job in the landing list: it has none.
const landed = -1

// delivery is a job as one worker knows it.
type delivery struct {
	st, id, token int8
}

type job struct {
	queued, waiting, kept int8 // copies in its queue and in the retry or schedule set; popped and not written down
	done, dead            int8
	runs, fails           int8
}

type state struct {
	job [jobs]job
	// In Redis: the token of the copy in an identity's hands, 0 for none, landed in
	// its landing list; its doorbell; its lease; the last token given.
	hand  [workers][identities][jobs]int8
	bell  [workers][identities]int8
	lease [workers][identities]int8
	seq   [workers][identities]int8
	// In the process: what it knows, the reply on its way to it, and who it is.
	know   [workers][jobs]delivery
	reply  [workers][jobs]delivery
	proc   [workers]int8
	id     [workers]int8
	popped [workers][jobs]int8 // by the poller of a design that needs two commands

	crashes, pauses, lost, restarts int8
}

func start() state {
	var s state
	s.job[0].waiting = 1
	s.job[1].queued = 1
	for w := range workers {
		s.lease[w][0] = held
	}
	return s
}

// search walks through all states breadth first, up to a limit.
type search struct {
	Design
	budget Budget
	Result
	seen  map[uint64]struct{}
	hash  func(state) uint64
	next  []state
	limit int
}

// add notes a state that can be reached.
func (x *search) add(s state) {
	h := x.hash(s)
	if _, again := x.seen[h]; again {
		return
	}
	x.seen[h] = struct{}{}
	x.next = append(x.next, s)
}

// Search explores a design. It stops after limit states, and, if first is set, at
// the first violation. hash must tell states apart.
func Search(d Design, b Budget, limit int, first bool, hash func(any) uint64) Result {
	x := &search{Design: d, budget: b, seen: map[uint64]struct{}{}, limit: limit, hash: func(s state) uint64 { return hash(s) }}
	x.add(start())
	for len(x.next) > 0 && x.States < limit && !(first && x.Violations() > 0) {
		todo := x.next
		x.next = nil
		for i := range todo {
			if x.States++; x.States >= limit {
				return x.Result
			}
			x.judge(&todo[i])
			x.step(&todo[i])
		}
	}
	x.Complete = len(x.next) == 0
	return x.Result
}

// judge looks for what must not be.
func (x *search) judge(s *state) {
	for j := range jobs {
		b := &s.job[j]
		places, reachable := b.queued+b.waiting, b.queued+b.waiting > 0
		onTheWay := false // in the memory of a living process, between two commands
		for w := range workers {
			if s.proc[w] != down {
				onTheWay = onTheWay || s.popped[w][j] > 0 || s.know[w][j].st != idle || s.reply[w][j].st != idle
			}
			for i := range identities {
				if s.hand[w][i][j] != 0 {
					places++
					reachable = reachable || x.canBeHad(s, w, int8(i), j)
				}
			}
		}
		over := b.done+b.dead > 0
		switch {
		case !over && places == 0 && !onTheWay:
			x.Lost++
		case !over && places > 1:
			x.Doubled++
		case !over && places == 1 && !reachable:
			x.Stranded++
		case b.done+b.dead > 1, over && places > 0:
			x.Twice++
		}
	}
}

// canBeHad reports whether somebody will do something about a job in an identity's
// hands: its owner, who knows of it or will find it, or a reclaimer.
func (x *search) canBeHad(s *state, w int, id int8, j int) bool {
	mine := s.id[w] == id && s.proc[w] != down
	if mine && s.lease[w][id] != fenced && s.lease[w][id] != buried {
		k, r := s.know[w][j], s.reply[w][j]
		known := (k.st != idle && k.id == id && k.token == s.hand[w][id][j]) || (r.st != idle && r.id == id)
		if known || !x.NoAudit || s.proc[w] == paused {
			return true
		}
		return false
	}
	if x.NoReclaim || s.lease[w][id] == buried {
		return false
	}
	return s.hand[w][id][j] != landed || !x.NoLandingRec
}
