package protocol

import (
	"errors"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Trip is one fetch of a capsule. It acknowledges deliveries that are done, puts landed jobs
// back to the taking end of their queues, and takes up to Want jobs, whose tokens are First,
// First+1, …
type Trip struct {
	Capsule int
	Owner   *queue.Owner
	Want    int
	First   uint64
	Acks    []*Entry // deliveries of Owner that are done; in no other list
	Adopt   []int    // queues whose landing lists it empties
	Turns   []Turn   // the order in which it takes jobs; nil: strict order without bounds
	Source  bool     // it is that of a source's doorbell, which brings no job
	Sources []int    // queues of the capsule, by their place in it, whose jobs a source keeps
	// Queues is from how many of the first queues of the capsule it takes jobs, besides what floors
	// grant. Partial says that these are not all: so it does not tell whether the others are empty.
	Queues  int
	Partial bool
	// Landing says that the job of a doorbell stays in the landing list: a look at the other shards
	// must decide whether it may start.
	Landing bool

	granted []int // by floor: the jobs that Turns takes by its share

	// The caller sets these: the request to Redis, the reply, and how long it took.
	Request queue.FetchRequest
	Got     queue.Fetched
	Err     error
	Took    time.Duration
}

// asked reports whether the trip may bring a token.
func (t *Trip) asked(o *queue.Owner, token uint64) bool {
	return t.Owner == o && token >= t.First && token < t.First+uint64(t.Want)
}

// Begin decides whether a capsule makes a trip now, and returns it. held is true while the
// lease surely holds; otherwise there is no trip. limit is the most jobs and the most acks of a
// trip.
func (p *Process) Begin(ci int, held bool, limit int) (t *Trip, ok bool) {
	return p.BeginTo(ci, held, limit, len(p.capsules[ci].Queues))
}

// BeginTo is Begin for a trip that takes jobs from the first queues of the capsule only. With 0 it
// takes none, and only puts landed jobs back.
func (p *Process) BeginTo(ci int, held bool, limit, queues int) (t *Trip, ok bool) {
	c := &p.capsules[ci]
	if p.Owner == nil || !held {
		return nil, false
	}
	want, acks := p.wants(ci, limit)
	if queues == 0 {
		want, acks = 0, 0
	}
	adopt := p.adoptable(c, want)
	if want == 0 && len(adopt) == 0 {
		return nil, false
	}
	t = &Trip{Capsule: ci, Owner: p.Owner, Want: want, Adopt: adopt, Queues: queues}
	if want > 0 {
		t.First = p.token(want)
		t.Turns, t.granted = c.turns(want)
	}
	if t.Partial = queues < len(c.Queues); t.Partial && want > 0 {
		t.Turns = c.upTo(queues, t.Turns, t.granted, want)
	}
	for i, q := range c.Queues {
		if p.sourced[q] || p.rung[q] && slices.Contains(adopt, q) {
			t.Sources = append(t.Sources, i)
		}
	}
	t.Acks = append(t.Acks, c.acks[:acks]...)
	c.acks = slices.Delete(c.acks, 0, acks)
	for _, q := range adopt {
		p.landed[q], p.rung[q] = false, false
	}
	c.trips = append(c.trips, t)
	return t, true
}

// Due reports whether a capsule has a reason for a trip now.
func (p *Process) Due(ci, limit int) bool {
	want, _ := p.wants(ci, limit)
	return want > 0 || len(p.adoptable(&p.capsules[ci], 0)) > 0
}

// Underway reports whether trips of a capsule have not come back.
func (p *Process) Underway(ci int) bool { return len(p.capsules[ci].trips) > 0 }

// wants returns how many jobs a trip of the capsule asks for now, and how many acks it carries.
// There is no trip for acks alone. The script acknowledges before it takes jobs, so the seats
// of the acks count as free, and there are never more deliveries in flight than seats.
func (p *Process) wants(ci, limit int) (want, acks int) {
	c := &p.capsules[ci]
	if p.quiet || p.gate.closed() || (c.asleep && !p.rang(c)) {
		return 0, 0
	}
	acks = min(len(c.acks), limit)
	want = min(c.Seats-p.occupied(ci)+acks, limit)
	switch out := p.underway(ci); {
	case want <= 0:
		return 0, 0
	case out > 0 && (out >= c.Trips || c.short || want < secondTrip):
		return 0, 0
	}
	return want, acks
}

// rang reports whether a landing list of the capsule's queues may hold jobs.
func (p *Process) rang(c *capsule) bool {
	for _, q := range c.Queues {
		if p.landed[q] {
			return true
		}
	}
	return false
}

// adoptable lists the queues whose landed jobs a trip puts back. A trip that takes no jobs is
// made only if no other trip is under way: it leaves to other processes the jobs that landed
// while all seats are taken.
func (p *Process) adoptable(c *capsule, want int) (queues []int) {
	if want == 0 && len(c.trips) > 0 {
		return nil
	}
	for _, q := range c.Queues {
		if p.landed[q] {
			queues = append(queues, q)
		}
	}
	return queues
}

// Returned records the reply of a trip. err is nil, or queue.ErrLeaseLost (the acks were carried
// out and no job was taken), or another error (it is not known what was carried out). stale
// counts acks whose deliveries had been reclaimed.
func (p *Process) Returned(t *Trip, got queue.Fetched, err error) (stale int) {
	c := &p.capsules[t.Capsule]
	for i := range c.trips {
		if c.trips[i] == t {
			c.trips = slices.Delete(c.trips, i, i+1)
			break
		}
	}
	lost := errors.Is(err, queue.ErrLeaseLost)
	if err != nil && !lost {
		p.doubt(c, t)
		p.returnReady()
		return 0
	}
	stale = p.confirmAcks(t, got.Acked)
	c.account(t, got)
	c.ready = slices.Grow(c.ready, len(got.Jobs))
	for _, d := range got.Jobs {
		c.ready = append(c.ready, &Entry{Delivery: d, Capsule: t.Capsule})
	}
	p.returnSurplus(t.Capsule)
	for _, i := range got.Unseen {
		p.unseen[c.Queues[i]] = true
	}
	c.short = !got.More && len(got.Jobs) < t.Want && !t.Partial
	c.asleep = !lost && c.short && len(c.trips) == 0 && !p.rang(c)
	p.returnReady()
	return stale
}

// confirmAcks counts the acks of a trip that were not in flight. It returns 0 if one of them
// may have been carried out before.
func (p *Process) confirmAcks(t *Trip, acked int) (stale int) {
	for _, e := range t.Acks {
		if e.doubt {
			return 0
		}
	}
	return len(t.Acks) - acked
}

// doubt records a trip whose reply was lost: its acks are settled again, its landing lists are
// emptied again, and an audit finds the jobs that it may have taken.
func (p *Process) doubt(c *capsule, t *Trip) {
	for _, e := range t.Acks {
		e.doubt = true
	}
	c.rest = append(c.rest, t.Acks...)
	if t.Owner == p.Owner {
		for _, q := range t.Adopt {
			p.landed[q] = true
		}
	}
	c.asleep, p.audit = false, true
}

// Start returns the oldest job of a capsule that may run now, for a thread, or nil. A job of an
// earlier identity, or without a lease (held is false), must not start: it goes back to its
// queue, if it is still in flight.
func (p *Process) Start(ci int, held bool) *Entry {
	c := &p.capsules[ci]
	for p.Waiting(ci) {
		e := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		if e.Owner != p.Owner || !held {
			p.giveBack(c, e)
			continue
		}
		e.State, e.at = Running, len(c.running)
		c.running = append(c.running, e)
		return e
	}
	return nil
}

// Waiting reports whether a capsule has jobs that may start. After the intake has ended no job
// starts: all go back together, in their order.
func (p *Process) Waiting(ci int) bool {
	return len(p.capsules[ci].ready) > 0 && !p.quiet && !p.gate.closed()
}

// returnReady gives back the jobs that have not started when the intake has ended. It waits for
// all trips of a capsule, so that the oldest job is put back last and is taken first.
func (p *Process) returnReady() {
	if !p.quiet {
		return
	}
	for i := range p.capsules {
		c := &p.capsules[i]
		if len(c.trips) > 0 {
			continue
		}
		for _, e := range c.ready {
			p.giveBack(c, e)
		}
		clear(c.ready)
		c.ready = c.ready[:0]
	}
}

// returnSurplus gives back the newest jobs that have no seat, because a doorbell brought a job
// while a trip for all seats was under way. Such a job would wait for a seat here while another
// process may be idle. A job over the bound of its queue goes back too.
func (p *Process) returnSurplus(ci int) {
	c := &p.capsules[ci]
	for i := c.overBound(); i >= 0; i = c.overBound() {
		p.giveBack(c, c.ready[i])
		c.ready = slices.Delete(c.ready, i, i+1)
	}
	for n := p.hasOver(ci); n > 0 && len(c.ready) > 0; n-- {
		last := len(c.ready) - 1
		e := c.ready[last]
		c.ready[last] = nil
		c.ready = c.ready[:last]
		p.giveBack(c, e)
	}
}

// giveBack settles a delivery that has not run: it goes back to the taking end of its queue.
func (p *Process) giveBack(c *capsule, e *Entry) {
	e.State = Finished
	e.Settlement = &queue.Settlement{Delivery: &e.Delivery, Action: queue.Requeue}
	c.rest = append(c.rest, e)
}
