package protocol

import "github.com/kyujobs/kyu/queue"

// Bells decides which doorbells to hang and which to take down. A queue has one doorbell for
// all capsules that serve it. It is hung when one of them is asleep and has a free seat. It
// stays up while one of them may still take a job, because to take it down and hang it again
// costs more than to adopt the job that it lands.
//
// A doorbell carries a trip for that capsule, which Redis makes as soon as a job has landed:
// the trip delivers the job if no other job waits. It reserves no seat, because a seat is
// mostly free then, and a reserved seat could not serve the other queues. A job without a seat
// goes back. held is true while the lease surely holds.
func (p *Process) Bells(held bool) (hang []*Trip, unhang []int) {
	for q, t := range p.bells {
		switch {
		case t == nil && held:
			if ci := p.wanted(q); ci >= 0 {
				p.bells[q] = &Trip{Capsule: ci, Owner: p.Owner, Want: 1, First: p.token(1),
					Adopt: []int{q}}
				hang = append(hang, p.bells[q])
			}
		case t != nil && (!held || t.Owner != p.Owner || p.quiet || p.paused[q] || p.allFull(q)):
			unhang = append(unhang, q)
		}
	}
	return hang, unhang
}

// wanted returns a capsule that is asleep, serves a queue and could take a job from it, or -1.
func (p *Process) wanted(q int) int {
	if p.quiet || p.paused[q] || p.shunned[q] || p.landed[q] || p.Owner == nil || p.gate.closed() {
		return -1
	}
	for i := range p.capsules {
		c := &p.capsules[i]
		if c.asleep && len(c.trips) == 0 && c.held() < c.Seats && c.serves(q) &&
			!c.bounded(q) {
			return i
		}
	}
	return -1
}

// allFull reports whether no capsule that serves a queue can take a job from it.
func (p *Process) allFull(q int) bool {
	for i := range p.capsules {
		if c := &p.capsules[i]; c.serves(q) && !c.full && !c.bounded(q) {
			return false
		}
	}
	return true
}

// Full records that a capsule has had no free seat for a while, or has one again. It reports
// whether that is a change, after which doorbells may have to come down.
func (p *Process) Full(ci int, full bool) (news bool) {
	news = p.capsules[ci].full != full
	p.capsules[ci].full = full
	return news
}

// Hung reports whether any doorbell is up.
func (p *Process) Hung() bool {
	for _, t := range p.bells {
		if t != nil {
			return true
		}
	}
	return false
}

// Rung tells how a doorbell came down.
type Rung struct {
	Landed bool            // a job has landed; if Job is nil it waits in the landing list
	Lost   bool            // the end is not known: a job may have landed or been delivered
	Job    *queue.Delivery // the job that landed and was delivered
}

// Down records that the doorbell that carries t came down. It returns the capsule that must
// make a trip now, or -1.
func (p *Process) Down(t *Trip, r Rung) (wake int) {
	q, c := t.Adopt[0], &p.capsules[t.Capsule]
	p.bells[q] = nil
	if r.Job != nil {
		c.ready = append(c.ready, &Entry{Delivery: *r.Job, Capsule: t.Capsule})
		p.returnSurplus(c)
		p.returnReady()
	}
	if t.Owner != p.Owner {
		return -1 // the reclaimer empties the landing lists of an earlier identity
	}
	p.audit = p.audit || r.Lost
	if !r.Lost && (!r.Landed || r.Job != nil) {
		return -1
	}
	p.landed[q], wake = true, t.Capsule
	for i := range p.capsules {
		if c := &p.capsules[i]; c.serves(q) && c.asleep && c.held() < c.Seats {
			return i
		}
	}
	return wake
}

// Shun sets whether a queue is left without a doorbell. While a key has a wrong type the
// queue's jobs cannot be taken, and a doorbell would ring for them again and again.
func (p *Process) Shun(q int, shunned bool) { p.shunned[q] = shunned }

// Wake makes a capsule that is asleep look for jobs. It is for queues without doorbells.
func (p *Process) Wake(ci int) { p.capsules[ci].asleep = false }

// Asleep reports whether a capsule found its queues empty and waits for a doorbell.
func (p *Process) Asleep(ci int) bool { return p.capsules[ci].asleep }
