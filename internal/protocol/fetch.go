package protocol

import (
	"errors"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Trip is one fetch of a capsule: it settles what is done, puts landed jobs back to the
// taking end of their queues, and takes up to Want jobs under the tokens First,
// First+1, …
type Trip struct {
	Capsule int
	Owner   *queue.Owner
	Want    int
	First   uint64
	Acks    []*Entry // of Owner; in no other list
	Adopt   []int    // queues whose landing lists are looked at

	// The caller's: what it asks Redis for, the reply, and how long that took.
	Request queue.FetchRequest
	Got     queue.Fetched
	Err     error
	Took    time.Duration
}

// asked reports whether the trip may bring a token.
func (t *Trip) asked(o *queue.Owner, token uint64) bool {
	return t.Owner == o && token >= t.First && token < t.First+uint64(t.Want)
}

// Begin decides whether a capsule makes a trip now, and which. held tells that the lease
// surely holds: without it nothing is taken. limit bounds the jobs and the acks of a trip.
func (p *Process) Begin(ci int, held bool, limit int) (t *Trip, ok bool) {
	c := &p.capsules[ci]
	if p.Owner == nil || !held {
		return nil, false
	}
	want, acks := p.wants(c, limit)
	adopt := p.adoptable(c, want)
	if want == 0 && len(adopt) == 0 {
		return nil, false
	}
	t = &Trip{Capsule: ci, Owner: p.Owner, Want: want, Adopt: adopt}
	if want > 0 {
		t.First = p.token(want)
	}
	t.Acks = append(t.Acks, c.acks[:acks]...)
	c.acks = slices.Delete(c.acks, 0, acks)
	for _, q := range adopt {
		p.landed[q] = false
	}
	c.trips = append(c.trips, t)
	return t, true
}

// Due reports whether a capsule has a reason for a trip now.
func (p *Process) Due(ci, limit int) bool {
	c := &p.capsules[ci]
	want, _ := p.wants(c, limit)
	return want > 0 || len(p.adoptable(c, 0)) > 0
}

// Underway reports whether trips of a capsule have not come back.
func (p *Process) Underway(ci int) bool { return len(p.capsules[ci].trips) > 0 }

// wants is how many jobs and acks a trip of the capsule carries now. Without jobs it has no
// reason to go for the acks either. The script settles before it takes, so the seats of the
// acks that ride count as free, and never more is in flight than there are seats.
func (p *Process) wants(c *capsule, limit int) (want, acks int) {
	if p.quiet || p.gate.closed() || (c.asleep && !p.rang(c)) {
		return 0, 0
	}
	acks = min(len(c.acks), limit)
	want = min(c.Seats-c.held()+acks, limit)
	switch out := len(c.trips); {
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

// adoptable lists the queues whose landed jobs this trip puts back to their places. A trip
// that takes nothing goes only if no trip is under way, to give to others what landed here
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

// Returned takes the reply of a trip. err is nil, queue.ErrLeaseLost (the acks were settled, and
// nothing was taken), or any other error: then nothing is known of the trip. stale counts acks
// whose deliveries had been taken away.
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
	c.ready = slices.Grow(c.ready, len(got.Jobs))
	for _, d := range got.Jobs {
		c.ready = append(c.ready, &Entry{Delivery: d, Capsule: t.Capsule})
	}
	p.returnSurplus(c)
	c.short = !got.More && len(got.Jobs) < t.Want
	c.asleep = !lost && c.short && len(c.trips) == 0 && !p.rang(c)
	p.returnReady()
	return stale
}

// confirmAcks counts the acks of a trip that were not in the owner's hands, unless one of
// them may have been settled before.
func (p *Process) confirmAcks(t *Trip, acked int) (stale int) {
	for _, e := range t.Acks {
		if e.doubt {
			return 0
		}
	}
	return len(t.Acks) - acked
}

// doubt notes a trip whose reply was lost: its acks are settled again, its landing lists are
// looked at again, and an audit finds what it may have taken.
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

// Start gives a thread of a capsule the oldest job that may run now, or nil. A job whose
// owner is not the present one, or that has no lease, must not start: it goes back to its
// queue, if it is still in the owner's hands.
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

// Waiting reports whether a capsule has jobs that a thread could take. After the intake has
// ended none starts: they go back together, in their order.
func (p *Process) Waiting(ci int) bool {
	return len(p.capsules[ci].ready) > 0 && !p.quiet && !p.gate.closed()
}

// returnReady gives back what was fetched and has not started when the intake has ended. It
// waits for all trips of a capsule, so that the oldest job of all is put back last and is
// taken first.
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

// returnSurplus gives back the newest of what waits, if a doorbell brought a job while a trip
// that fills all seats was under way: it would wait behind a long job, and others may be idle.
func (p *Process) returnSurplus(c *capsule) {
	for n := c.has() - c.Seats; n > 0 && len(c.ready) > 0; n-- {
		last := len(c.ready) - 1
		e := c.ready[last]
		c.ready[last] = nil
		c.ready = c.ready[:last]
		p.giveBack(c, e)
	}
}

// giveBack settles a delivery that has not run: back to the taking end of its queue.
func (p *Process) giveBack(c *capsule, e *Entry) {
	e.State = Finished
	e.Settlement = &queue.Settlement{Delivery: &e.Delivery, Action: queue.Requeue}
	c.rest = append(c.rest, e)
}
