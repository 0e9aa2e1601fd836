package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Bells decides which doorbells to hang and which to take down. A queue has one doorbell for
// all capsules that serve it. It is hung when one of them is asleep and has a free seat. It
// stays up while one of them may still take a job, because to take it down and hang it again
// costs more than to adopt the job that it lands.
//
// A doorbell carries a trip for that capsule, which Redis makes as soon as a job has landed:
// the trip delivers the job if no other job waits. It reserves no seat, because a seat is
// mostly free then, and a reserved seat could not serve the other queues. A job without a seat
// goes back. held is true while the lease surely holds.
//
// A queue with a source has two doorbells, which bring no jobs: one for jobs that arrive, and one
// for jobs of the source that may run now. The second has the index of the queue plus the number of
// queues.
func (p *Process) Bells(held bool) (hang []*Trip, unhang []int) {
	for i, t := range p.bells {
		q, second := i, false
		if n := len(p.landed); i >= n {
			q, second = i-n, true
		}
		switch {
		case t == nil && held && (p.sourced[q] || !second):
			if ci := p.wanted(q); ci >= 0 {
				p.bells[i] = p.bell(ci, q, second)
				hang = append(hang, p.bells[i])
			}
		case t != nil && (!held || t.Owner != p.Owner || p.quiet || p.paused[q] || p.allFull(q) ||
			t.Want > 0 == p.sourced[q]):
			unhang = append(unhang, i)
		}
	}
	return hang, unhang
}

// bell returns the trip of a doorbell on a queue. It delivers no job of a queue with a source.
func (p *Process) bell(ci, q int, second bool) *Trip {
	t := &Trip{Capsule: ci, Owner: p.Owner, Adopt: []int{q}, Source: second}
	if !p.sourced[q] {
		t.Want, t.First = 1, p.token(1)
		c := &p.capsules[ci]
		t.Landing = len(p.peers) > 0 && c.Strict && q != c.Queues[0]
	}
	return t
}

// Sourced sets which queues have a source that keeps their jobs, and reports whether that is a
// change.
func (p *Process) Sourced(sourced []bool) (news bool) {
	if slices.Equal(p.sourced, sourced) {
		return false
	}
	copy(p.sourced, sourced)
	for q := range p.unseen {
		p.unseen[q] = p.unseen[q] && p.sourced[q]
	}
	for i := range p.capsules {
		p.capsules[i].asleep = false
	}
	return true
}

// IsSourced reports whether a source keeps the jobs of a queue, or a doorbell of one has rung.
func (p *Process) IsSourced(q int) bool { return p.sourced[q] || p.rung[q] }

// SourcesOf returns the queues of a capsule whose jobs a source keeps.
func (p *Process) SourcesOf(ci int) (queues []int) {
	for _, q := range p.capsules[ci].Queues {
		if p.sourced[q] {
			queues = append(queues, q)
		}
	}
	return queues
}

// Unseen lists the queues whose lists hold jobs that their sources have not seen. The process moves
// them, unless its intake has ended.
func (p *Process) Unseen() (queues []int) {
	for q, unseen := range p.unseen {
		if unseen && !p.quiet && p.Owner != nil {
			queues = append(queues, q)
		}
	}
	return queues
}

// Sifted records that the source of a queue has seen some jobs. more says that there are others.
func (p *Process) Sifted(q int, more bool) {
	p.unseen[q] = more
	for i := range p.capsules {
		if c := &p.capsules[i]; c.serves(q) {
			c.asleep, c.short = false, false
		}
	}
}

// wanted returns a capsule that is asleep, serves a queue and could take a job from it, or -1.
func (p *Process) wanted(q int) int {
	if p.quiet || p.paused[q] || p.shunned[q] || p.landed[q] || p.unseen[q] || p.Owner == nil ||
		p.gate.closed() {
		return -1
	}
	for i := range p.capsules {
		c := &p.capsules[i]
		if c.asleep && len(c.trips) == 0 && p.Free(i) > 0 && c.serves(q) &&
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
	if t.Source {
		p.bells[len(p.landed)+q] = nil
	} else {
		p.bells[q] = nil
	}
	if t.Want == 0 { // the queue has a source; what it brought belongs to no identity
		if !r.Landed && !r.Lost {
			return -1
		}
		p.rung[q] = true
		return p.look(q, t.Capsule)
	}
	if r.Job != nil {
		c.ready = append(c.ready, &Entry{Delivery: *r.Job, Capsule: t.Capsule})
		p.returnSurplus(t.Capsule)
		p.returnReady()
	}
	if t.Owner != p.Owner {
		return -1 // the reclaimer empties the landing lists of an earlier identity
	}
	p.audit = p.audit || r.Lost
	if !r.Lost && (!r.Landed || r.Job != nil) {
		return -1
	}
	return p.look(q, t.Capsule)
}

// look has a capsule make a trip for what a doorbell brought, and returns that capsule: if possible
// one that is asleep and has a free seat, else the given one. Without a seat the trip leaves it to
// other processes.
func (p *Process) look(q, capsule int) (wake int) {
	p.landed[q] = true
	for i := range p.capsules {
		if c := &p.capsules[i]; c.serves(q) && c.asleep && p.Free(i) > 0 {
			return i
		}
	}
	return capsule
}

// Shun sets whether a queue is left without a doorbell. While a key has a wrong type the
// queue's jobs cannot be taken, and a doorbell would ring for them again and again.
func (p *Process) Shun(q int, shunned bool) { p.shunned[q] = shunned }

// Wake makes a capsule that is asleep look for jobs. It is for queues without doorbells.
func (p *Process) Wake(ci int) { p.capsules[ci].asleep = false }

// Asleep reports whether a capsule found its queues empty and waits for a doorbell.
func (p *Process) Asleep(ci int) bool { return p.capsules[ci].asleep }
