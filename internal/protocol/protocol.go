// Package protocol holds the decisions of a worker process about its deliveries: which
// trips to Redis to make, which delivery may start, what to settle, which doorbells to
// hang, and when the lease may be given up. It has no goroutine, no clock and no
// connection: each method of Process takes an event and returns what is to be done.
// Package worker carries the decisions out; test/faults/model explores the same methods.
//
// A delivery is in exactly one list of the ledger from the moment a fetch brought it until
// Redis has confirmed its settlement: ready, running, acks, rest, sending, refused, or the
// acks of a trip. There is no moment at which it is in none.
package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// State is where a delivery is in its life in this process.
type State uint8

// The states follow one another in this order. A delivery leaves the ledger when Redis has
// confirmed its settlement.
const (
	Fetched  State = iota // waits for a thread
	Running               // a handler has it
	Finished              // its settlement is known, and Redis has not confirmed it
)

// Entry is a delivery in the ledger of its process.
type Entry struct {
	queue.Delivery
	Settlement *queue.Settlement // once Finished; nil: it is done
	Capsule    int               // index of the capsule whose seat it takes
	State      State
	doubt      bool // the settlement was sent before without a reply: it may be carried out
	at         int  // place in the list of running entries
}

// settlement says what becomes of e.
func (e *Entry) settlement() queue.Settlement {
	if e.Settlement == nil {
		return queue.Settlement{Delivery: &e.Delivery, Action: queue.Done}
	}
	return *e.Settlement
}

// Capsule describes a set of queues and of threads to a Process.
type Capsule struct {
	Queues []int // indexes into the queues of the process, in order
	Seats  int   // deliveries that it may hold
	Trips  int   // trips that may be under way at once; 0: one
}

// secondTrip is how many seats must be free for another trip to go while one is under way.
// With fewer it is better to wait for it: two half-empty trips cost twice.
const secondTrip = 16

// capsule is what a Process knows of one capsule.
type capsule struct {
	Capsule
	ready   []*Entry // fetched, oldest first
	running []*Entry
	acks    []*Entry // done, of the present owner: a fetch may take them along
	rest    []*Entry // everything else that is to be settled
	sending []*Entry // in a settle script now
	refused []*Entry // Redis refuses them for now: a key has the wrong type
	trips   []*Trip  // under way
	page    Page     // bounds of the next settle
	short   bool     // the last trip brought less than it wanted: the queues are empty
	asleep  bool     // the queues are empty, and a doorbell or a push wakes it
	full    bool     // it has had no free seat for a while: its doorbells come down
}

// has counts the deliveries whose settlement Redis has not confirmed. They are never more than
// seats, beside what goes back: a crash runs as many as that a second time.
func (c *capsule) has() int {
	n := c.unsent()
	for _, t := range c.trips {
		n += len(t.Acks)
	}
	return n
}

// unsent counts the deliveries that no trip settles.
func (c *capsule) unsent() int {
	return len(c.ready) + len(c.running) + len(c.acks) + len(c.rest) + len(c.sending) +
		len(c.refused)
}

// held counts the seats that are taken, also for what trips may bring.
func (c *capsule) held() int {
	n := c.unsent()
	for _, t := range c.trips {
		n += max(t.Want, len(t.Acks)) // the script frees the seats of the acks before it takes jobs
	}
	return n
}

// Process is the state of one worker process. It is not safe for concurrent use.
type Process struct {
	Owner    *queue.Owner // the identity under which it fetches now
	capsules []capsule
	landed   []bool  // by queue: its landing list may hold jobs
	paused   []bool  // by queue
	shunned  []bool  // by queue: a key of a wrong type holds its jobs up, no doorbell hangs on it
	bells    []*Trip // by queue: the trip that its doorbell carries; nil: it is down
	token    func(n int) uint64
	quiet    bool // it takes no more jobs, for good
	audit    bool // Redis may hold deliveries that the ledger does not know
	gate     gate
}

// New makes a Process. Queues counts the queues of all capsules together; token reserves n
// tokens that were never used before, and returns the first. Owner is set by Renewed.
func New(capsules []Capsule, queues int, token func(n int) uint64) *Process {
	p := &Process{landed: make([]bool, queues), paused: make([]bool, queues),
		bells: make([]*Trip, queues), shunned: make([]bool, queues), token: token}
	for _, c := range capsules {
		c.Trips = max(c.Trips, 1)
		p.capsules = append(p.capsules, capsule{Capsule: c, page: SettlePage})
	}
	return p
}

// Free counts the seats of a capsule that nothing takes.
func (p *Process) Free(c int) int { return max(0, p.capsules[c].Seats-p.capsules[c].held()) }

// Busy counts the deliveries of a capsule that wait for a thread or have one.
func (p *Process) Busy(c int) int { return len(p.capsules[c].ready) + len(p.capsules[c].running) }

// Seat adds n seats to a capsule: one for a thread that replaces a stuck one; minus one when
// the stuck one returns.
func (p *Process) Seat(c, n int) { p.capsules[c].Seats += n }

// Paused sets which queues nobody is to take from, and reports whether that is news.
func (p *Process) Paused(paused []bool) (news bool) {
	if slices.Equal(p.paused, paused) {
		return false
	}
	copy(p.paused, paused)
	for i := range p.capsules {
		p.capsules[i].asleep = false // a queue that is open again may hold jobs
	}
	return true
}

// Pause notes a queue that a fetch found paused, so that no doorbell takes from it.
func (p *Process) Pause(q int) { p.paused[q] = true }

// Quiet ends the intake for good. What a trip under way still brings goes back.
func (p *Process) Quiet() {
	p.quiet = true
	p.returnReady()
}

// IsQuiet reports whether the intake has ended.
func (p *Process) IsQuiet() bool { return p.quiet }

// Renewed sets a new identity. Results of the one before are settled by their own tokens and
// never ride in a fetch of the new one.
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
		p.landed[i] = false // the landing lists of the old identity are the reclaimer's
	}
}

// Settled reports whether Redis has confirmed everything: only then may a stop give the
// lease up, for a reclaimer takes what an owner that has left still holds.
func (p *Process) Settled() bool {
	for i := range p.capsules {
		if p.capsules[i].held() > 0 || len(p.capsules[i].trips) > 0 {
			return false
		}
	}
	return true
}

// Running lists what handlers have, over all capsules.
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

// Serving is the first capsule that serves a queue.
func (p *Process) Serving(q int) int {
	for i := range p.capsules {
		if p.capsules[i].serves(q) {
			return i
		}
	}
	return 0
}
