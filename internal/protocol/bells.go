package protocol

import "github.com/kyujobs/kyu/queue"

// Bells decides which doorbells to hang and which to take down; there is one for a queue,
// whichever capsules serve it. A bell is hung when a capsule that serves its queue is asleep
// and has a free seat. It stays as long as one of them may still take what rings, for to take
// bells down and hang them again costs more than to adopt what they bring.
func (p *Process) Bells(held bool) (hang, unhang []int) {
	for q := range p.bells {
		switch up := p.bells[q] != nil; {
		case !up && held && p.wanted(q):
			p.bells[q] = p.Owner
			hang = append(hang, q)
		case up && (!held || p.bells[q] != p.Owner || p.quiet || p.paused[q] || p.allFull(q)):
			unhang = append(unhang, q)
		}
	}
	return hang, unhang
}

// wanted reports whether a capsule sleeps that serves a queue and could take what rings.
func (p *Process) wanted(q int) bool {
	if p.quiet || p.paused[q] || p.shunned[q] || p.landed[q] || p.Owner == nil || p.gate.closed() {
		return false
	}
	for i := range p.capsules {
		c := &p.capsules[i]
		if c.asleep && len(c.trips) == 0 && c.held() < c.Seats && c.serves(q) {
			return true
		}
	}
	return false
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
	for _, o := range p.bells {
		if o != nil {
			return true
		}
	}
	return false
}

// Down takes the end of a doorbell that was hung under o. landed tells that its landing list
// may hold a job: it rang, or, with lost, how it ended is not known. It returns the capsule
// that is to make a trip, or -1.
func (p *Process) Down(q int, o *queue.Owner, landed, lost bool) (wake int) {
	p.bells[q] = nil
	if o != p.Owner {
		return -1 // the landing lists of an identity that is gone are the reclaimer's
	}
	p.audit = p.audit || lost
	if !landed {
		return -1
	}
	p.landed[q], wake = true, -1
	for i := range p.capsules {
		c := &p.capsules[i]
		switch {
		case !c.serves(q):
		case c.asleep && c.held() < c.Seats:
			return i
		case wake < 0:
			wake = i
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
