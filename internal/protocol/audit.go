package protocol

import "github.com/kyujobs/kyu/queue"

// Audit reports whether Redis must be compared with the ledger, because a reply was lost.
func (p *Process) Audit() bool { return p.audit && p.Owner != nil }

// AuditBegins records that the caller asks Redis now: a reply that is lost afterwards makes
// another audit necessary.
func (p *Process) AuditBegins() { p.audit = false }

// AuditFailed records that Redis did not answer: the audit is still necessary.
func (p *Process) AuditFailed() { p.audit = true }

// Audited compares held, the deliveries that Redis holds for an owner, with the whole ledger,
// over all capsules. A delivery that is in no list, and that no trip under way may bring, was
// taken by a fetch whose reply was lost: it goes back to its queue. If it has been settled
// since Redis was asked, its token is gone, and the settlement does nothing. capsuleOf returns
// the capsule that serves a queue; landed lists the queues whose landing lists hold jobs.
func (p *Process) Audited(o *queue.Owner, held []*queue.Delivery, capsuleOf func(name string) int,
	landed []int) (lost int) {
	if o != p.Owner {
		return 0 // the reclaimer takes the deliveries of an earlier identity
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

// asked reports whether a trip under way, or the trip of a doorbell, may bring a token.
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
