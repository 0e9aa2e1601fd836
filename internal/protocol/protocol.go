// Package protocol decides what a worker process does with its deliveries: which trips to
// Redis it makes, which delivery may start, what it settles, which doorbells it hangs, and
// when it may give up its lease. The package has no goroutines, clocks or connections: each
// method of Process takes an event, changes the state, and returns what the caller must do.
// Package worker carries the decisions out; test/faults/model explores the same methods.
//
// The lists of all capsules together are the ledger. From the moment when a fetch has brought
// a delivery until Redis has confirmed its settlement, it is in exactly one of the lists:
// ready, running, acks, rest, sending, refused, or the acks of a trip.
package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// State is the state of a delivery in this process.
type State uint8

// A delivery has these states in this order. It leaves the ledger when Redis has confirmed
// its settlement.
const (
	Fetched  State = iota // it waits for a thread
	Running               // a handler runs
	Finished              // its settlement is decided, and not confirmed by Redis
)

// Entry is a delivery in the ledger of its process.
type Entry struct {
	queue.Delivery
	Settlement *queue.Settlement // once it is Finished; nil means done
	Capsule    int               // index of the capsule whose seat it takes
	State      State
	doubt      bool // its settlement was sent and the reply lost: it may have been carried out
	at         int  // its index in the list running
}

// settlement returns the settlement of e.
func (e *Entry) settlement() queue.Settlement {
	if e.Settlement == nil {
		return queue.Settlement{Delivery: &e.Delivery, Action: queue.Done}
	}
	return *e.Settlement
}

// Capsule describes a set of queues and of threads to a Process.
type Capsule struct {
	Queues []int // indexes of its queues among those of the process, in order
	Seats  int   // the most deliveries that it may hold
	Trips  int   // the most trips under way at once; 0: one
	Floors []Floor
	Strict bool // its jobs are taken in the order of Queues
}

// secondTrip is the number of free seats from which another trip is made while one is under
// way. With fewer, it costs less to wait for that one than to make two trips for a few jobs.
const secondTrip = 16

// capsule is the state of one capsule.
type capsule struct {
	Capsule
	ready   []*Entry // fetched, oldest first
	running []*Entry
	acks    []*Entry // done, of the present owner: a fetch may carry their acknowledgements
	rest    []*Entry // others that must be settled
	sending []*Entry // in a settle script now
	refused []*Entry // refused by Redis for now, because a key has a wrong type
	trips   []*Trip  // under way
	page    Page     // limits of the next settle script
	short   bool     // the last trip brought fewer jobs than it asked for: the queues are empty
	asleep  bool     // the queues are empty: it makes no trip until a doorbell or Wake
	full    bool     // it has had no free seat for a while: its doorbells come down
	out     bool     // its shard does not answer in time: see lent
	floors  []floor  // as Floors
}

// has counts the deliveries whose settlement Redis has not confirmed. Apart from those that go
// back to their queues they are never more than the seats: a crash makes at most so many jobs
// run again.
func (c *capsule) has() int {
	n := c.unsent()
	for _, t := range c.trips {
		n += len(t.Acks)
	}
	return n
}

// unsent counts the deliveries that no trip under way settles.
func (c *capsule) unsent() int {
	return len(c.ready) + len(c.running) + len(c.acks) + len(c.rest) + len(c.sending) +
		len(c.refused)
}

// held counts the seats that are taken, also those for the jobs that trips may bring.
func (c *capsule) held() int {
	n := c.unsent()
	for _, t := range c.trips {
		n += max(t.Want, len(t.Acks)) // the script frees the seats of the acks before it takes jobs
	}
	return n
}

// Process is the state of one worker process. Only one goroutine may use it at a time; package
// worker does so under a lock.
type Process struct {
	Owner    *queue.Owner // the identity under which it fetches now
	capsules []capsule
	landed   []bool // by queue: its landing list may hold jobs, or rung
	rung     []bool // by queue: a doorbell of its source rang, and no trip has looked since
	paused   []bool // by queue
	shunned  []bool // by queue: a key has a wrong type, so the queue gets no doorbell
	// bells are the trips that doorbells carry: first by queue, then by queue those of the sources.
	// nil: it is not hung.
	bells   []*Trip
	sourced []bool // by queue: a source keeps its jobs
	unseen  []bool // by queue: its list holds jobs that its source has not seen
	token   func(n int) uint64
	quiet   bool // the intake has ended: it takes no more jobs
	audit   bool // Redis may hold deliveries that are not in the ledger
	gate    *gate
	peers   []*Process // of the other shards; see Join
}

// New makes a Process. queues is the number of queues of all capsules together. token reserves n
// tokens that were never used before, and returns the first. Renewed sets the owner.
func New(capsules []Capsule, queues int, token func(n int) uint64) *Process {
	p := &Process{landed: make([]bool, queues), paused: make([]bool, queues),
		bells: make([]*Trip, 2*queues), shunned: make([]bool, queues), token: token,
		rung: make([]bool, queues), sourced: make([]bool, queues), unseen: make([]bool, queues),
		gate: new(gate)}
	for _, c := range capsules {
		c.Trips = max(c.Trips, 1)
		p.capsules = append(p.capsules, capsule{Capsule: c, page: SettlePage,
			floors: newFloors(c)})
	}
	return p
}

// Free counts the seats of a capsule that are not taken.
func (p *Process) Free(c int) int { return max(0, p.capsules[c].Seats-p.occupied(c)) }

// Busy counts the deliveries of a capsule that wait for a thread or have one.
func (p *Process) Busy(c int) int { return len(p.capsules[c].ready) + len(p.capsules[c].running) }

// Seat adds n seats to a capsule: 1 for a thread that replaces a stuck one, and -1 when the
// stuck one returns.
func (p *Process) Seat(c, n int) { p.capsules[c].Seats += n }

// Paused sets the paused queues, and reports whether that is a change.
func (p *Process) Paused(paused []bool) (news bool) {
	if slices.Equal(p.paused, paused) {
		return false
	}
	copy(p.paused, paused)
	for i := range p.capsules {
		p.capsules[i].asleep = false // a queue that is no longer paused may hold jobs
	}
	return true
}

// Pause records that a fetch has found a queue paused, so that it gets no doorbell.
func (p *Process) Pause(q int) { p.paused[q] = true }

// Quiet ends the intake; there is no way back. Jobs that have not started go back, also those
// that trips under way still bring.
func (p *Process) Quiet() {
	p.quiet = true
	p.returnReady()
}

// IsQuiet reports whether the intake has ended.
func (p *Process) IsQuiet() bool { return p.quiet }

// Renewed sets a new identity. Deliveries of an earlier one are settled under that identity,
// and never by a fetch of the new one.
func (p *Process) Renewed(o *queue.Owner) {
	p.Owner = o
	for i := range p.capsules {
		c := &p.capsules[i]
		c.asleep = false
		keep := c.acks[:0]
		for _, e := range c.acks {
			if e.Owner == o {
				keep = append(keep, e)
			} else {
				c.rest = append(c.rest, e)
			}
		}
		clear(c.acks[len(keep):])
		c.acks = keep
	}
	for i := range p.landed {
		p.landed[i] = p.rung[i] // the reclaimer empties the landing lists of the earlier identity
	}
}

// Settled reports whether Redis has confirmed all settlements. Only then may a stop give up
// the lease, because a reclaimer takes the deliveries of an owner that has left.
func (p *Process) Settled() bool {
	for i := range p.capsules {
		if p.capsules[i].held() > 0 || len(p.capsules[i].trips) > 0 {
			return false
		}
	}
	return true
}

// Running lists the running deliveries of all capsules.
func (p *Process) Running() []*Entry {
	var all []*Entry
	for i := range p.capsules {
		all = append(all, p.capsules[i].running...)
	}
	return all
}

// each calls fn with every delivery of the ledger.
func (p *Process) each(fn func(e *Entry)) {
	for i := range p.capsules {
		c := &p.capsules[i]
		for _, list := range [][]*Entry{c.ready, c.running, c.acks, c.rest, c.sending, c.refused} {
			for _, e := range list {
				fn(e)
			}
		}
		for _, t := range c.trips {
			for _, e := range t.Acks {
				fn(e)
			}
		}
	}
}

// serves reports whether a capsule serves a queue.
func (c *capsule) serves(q int) bool { return slices.Contains(c.Queues, q) }

// Serving returns the first capsule that serves a queue.
func (p *Process) Serving(q int) int {
	for i := range p.capsules {
		if p.capsules[i].serves(q) {
			return i
		}
	}
	return 0
}
