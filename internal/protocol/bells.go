package protocol

import "github.com/kyujobs/kyu/queue"

// Bells decides which doorbells to hang and which to take down; there is one for a queue,
// whichever capsules serve it. A bell is hung when a capsule that serves its queue is asleep
// and has a free seat. It stays as long as one of them may still take what rings, for to take
// bells down and hang them again costs more than to adopt what they bring.
//
// A doorbell carries a trip for that capsule, which Redis makes as soon as the bell comes
// down: it delivers what rang if no other job waits. It reserves no seat, for most bells come
// down when a seat is free, and to reserve one would keep it from the other queues. What it
// brings too much goes back.
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

// wanted is the capsule that sleeps, serves a queue and could take what rings, or -1.
func (p *Process) wanted(q int) int {
	if p.quiet || p.paused[q] || p.shunned[q] || p.landed[q] || p.Owner == nil || p.gate.closed() {
		return -1
	}
	for i := range p.capsules {
		c := &p.capsules[i]
		if c.asleep && len(c.trips) == 0 && c.held() < c.Seats && c.serves(q) {
			return i
		}
	}
	return -1
}

func (p *Process) allFull(q int) bool {
	for i := range p.capsules {
		if c := &p.capsules[i]; c.serves(q) && !c.full {
			return false
		}
	}
	return true
}

// Full notes that a capsule has had no free seat for a while, or has one again. It reports
// whether that is news: then bells may have to come down.
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

// Rung is how a doorbell came down.
type Rung struct {
	Landed bool            // a job has landed; without a Job it waits for a trip
	Lost   bool            // how it ended is not known: a job may have landed, or be delivered
	Job    *queue.Delivery // what landed, delivered
}

// Down takes the end of a doorbell that carries t. It returns the capsule that is to make a
// trip now, or -1.
func (p *Process) Down(t *Trip, r Rung) (wake int) {
	q, c := t.Adopt[0], &p.capsules[t.Capsule]
	p.bells[q] = nil
	if r.Job != nil {
		c.ready = append(c.ready, &Entry{Delivery: *r.Job, Capsule: t.Capsule})
		p.returnSurplus(c)
		p.returnReady()
	}
	if t.Owner != p.Owner {
		return -1 // the landing lists of an identity that is gone are the reclaimer's
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

// Shun leaves a queue without a doorbell, or ends that. Its jobs cannot be taken while a key
// has a wrong type, and a doorbell would ring for them without an end.
func (p *Process) Shun(q int, shunned bool) { p.shunned[q] = shunned }

// Wake has a capsule that sleeps look for jobs: where doorbells cannot be hung.
func (p *Process) Wake(ci int) { p.capsules[ci].asleep = false }

// Asleep reports whether a capsule found its queues empty and waits for a doorbell.
func (p *Process) Asleep(ci int) bool { return p.capsules[ci].asleep }
