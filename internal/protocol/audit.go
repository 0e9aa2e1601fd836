package protocol

import "github.com/kyujobs/kyu/queue"

// Audit asks whether Redis is to be compared with the ledger now: after a lost reply.
func (p *Process) Audit() bool { return p.audit && p.Owner != nil }

// AuditBegins notes that Redis is asked now: a reply that is lost from here on asks for
// another audit.
func (p *Process) AuditBegins() { p.audit = false }

// AuditFailed asks for the audit again that had no answer.
func (p *Process) AuditFailed() { p.audit = true }

// Audited compares what Redis holds for owner, read after the reply came, with the whole
// ledger, over all capsules. A delivery that is in no list and that no trip under way may
// bring was taken for a reply that was lost: it goes back to its queue. If it was settled
// since Redis was asked, nothing is left under its token, and nothing happens. capsuleOf
// says which capsule serves a queue; landed are queues whose landing lists hold jobs.
func (p *Process) Audited(o *queue.Owner, held []*queue.Delivery, capsuleOf func(name string) int,
	landed []int) (lost int) {
	if o != p.Owner {
		return 0 // what the identity before still holds is the reclaimer's
	}
	for _, q := range landed {
		p.landed[q] = true
	}
	known := map[uint64]bool{}
	p.each(func(e *Entry) {
		if e.Owner == o {
			known[e.Token] = true
		}
	})
	for _, d := range held {
		if known[d.Token] || p.asked(o, d.Token) {
			continue
		}
		ci := capsuleOf(d.Queue)
		p.giveBack(&p.capsules[ci], &Entry{Delivery: *d, Capsule: ci})
		lost++
	}
	return lost
}

// asked reports whether a trip under way, or one that a doorbell carries, may bring a token.
func (p *Process) asked(o *queue.Owner, token uint64) bool {
	for _, t := range p.bells {
		if t != nil && t.asked(o, token) {
			return true
		}
	}
	for i := range p.capsules {
		for _, t := range p.capsules[i].trips {
			if t.asked(o, token) {
				return true
			}
		}
	}
	return false
}
