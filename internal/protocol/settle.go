package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// SettlePage bounds one settle script.
var SettlePage = Page{Count: 100, Bytes: 4 << 20}

// Page bounds a batch by count and by bytes. It halves after a time-out, so that a batch that
// did not fit once fits next time, and grows back when one arrives. One item always fits.
type Page struct{ Count, Bytes int }

// Halved is half of p, at least one item.
func (p Page) Halved() Page { return Page{max(1, p.Count/2), max(1, p.Bytes/2)} }

// Doubled is twice p, at most limit.
func (p Page) Doubled(limit Page) Page {
	return Page{min(limit.Count, 2*p.Count), min(limit.Bytes, 2*p.Bytes)}
}

// Finish notes what becomes of a running delivery; a nil settlement means that it is done. One
// that is done and has effects comes with a settlement, as no fetch carries effects out. It
// returns false, and does nothing, if the delivery was given back before (Abandon).
func (p *Process) Finish(e *Entry, s *queue.Settlement) bool {
	if e.State != Running {
		return false
	}
	c := &p.capsules[e.Capsule]
	last := len(c.running) - 1
	c.running[e.at] = c.running[last]
	c.running[e.at].at = e.at
	c.running[last] = nil
	c.running = c.running[:last]
	e.State, e.Settlement = Finished, s
	if s == nil && e.Owner == p.Owner && !p.quiet {
		c.acks = append(c.acks, e)
	} else {
		c.rest = append(c.rest, e)
	}
	return true
}

// Abandon gives back a delivery whose handler ignores the end of its time: it may run twice.
func (p *Process) Abandon(e *Entry) {
	p.Finish(e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Requeue})
}

// Urgent reports whether a capsule has results that no fetch takes along.
func (p *Process) Urgent(ci int) bool {
	c := &p.capsules[ci]
	return len(c.rest) > 0 || len(c.sending) > 0
}

// Unsettled counts the results of a capsule that wait to be sent or are refused.
func (p *Process) Unsettled(ci int) int {
	c := &p.capsules[ci]
	return len(c.acks) + len(c.rest) + len(c.sending) + len(c.refused)
}

// Batch takes the next results of a capsule to settle: at most a page of them. It is empty
// if there are none, or if a batch is under way. What is to go back to its queue comes newest
// first, so that the oldest is taken first. Deliveries with effects go beside those without,
// but not more than a script may carry.
func (p *Process) Batch(ci int) []queue.Settlement {
	c := &p.capsules[ci]
	if len(c.sending) > 0 {
		return nil
	}
	c.rest = append(c.rest, c.acks...)
	clear(c.acks)
	c.acks = c.acks[:0]
	slices.SortStableFunc(c.rest, newestBackFirst)
	n, bytes, effects := 0, 0, 0
	for n < len(c.rest) && n < c.page.Count {
		if e := c.rest[n]; e.Settlement != nil {
			bytes += len(e.Settlement.Payload)
			effects += min(len(e.Settlement.Effects), 1)
		}
		if n > 0 && bytes > c.page.Bytes || effects > queue.MaxEffectItems {
			break
		}
		n++
	}
	c.sending = append(c.sending, c.rest[:n]...)
	c.rest = slices.Delete(c.rest, 0, n)
	batch := make([]queue.Settlement, n)
	for i, e := range c.sending {
		batch[i] = e.settlement()
	}
	return batch
}

// newestBackFirst orders deliveries that go back to their queues by falling tokens, before
// all others, whose order does not matter.
func newestBackFirst(a, b *Entry) int {
	back := func(e *Entry) bool {
		return e.Settlement != nil && e.Settlement.Action == queue.Requeue
	}
	switch {
	case back(a) && back(b) && a.Token > b.Token:
		return -1
	case back(a) && back(b):
		return 1
	case back(a):
		return -1
	case back(b):
		return 1
	}
	return 0
}

// Confirmed takes the reply of a batch, a result for each settlement. What Redis refuses is
// set aside, so that it holds nothing else up, until Retry. stale counts deliveries that had
// been taken away.
func (p *Process) Confirmed(ci int, results []queue.Result) (stale int) {
	c := &p.capsules[ci]
	for i, e := range c.sending {
		switch {
		case results[i] == queue.Refused:
			c.refused = append(c.refused, e)
		case results[i] == queue.Stale && !e.doubt:
			stale++
		}
	}
	clear(c.sending)
	c.sending = c.sending[:0]
	c.page = c.page.Doubled(SettlePage)
	return stale
}

// Failed takes the loss of a batch's reply: it is sent again, in two halves. A single
// settlement that Redis answers with an error (rejected) is set aside like a refused one.
func (p *Process) Failed(ci int, rejected bool) {
	c := &p.capsules[ci]
	for _, e := range c.sending {
		e.doubt = true
	}
	if rejected && len(c.sending) == 1 {
		c.refused = append(c.refused, c.sending...)
	} else {
		c.rest = slices.Insert(c.rest, 0, c.sending...)
	}
	clear(c.sending)
	c.sending = c.sending[:0]
	c.page = c.page.Halved()
}

// Refused counts the results of a capsule that are set aside.
func (p *Process) Refused(ci int) int { return len(p.capsules[ci].refused) }

// Retry settles again what was refused.
func (p *Process) Retry(ci int) {
	c := &p.capsules[ci]
	c.rest = append(c.rest, c.refused...)
	clear(c.refused)
	c.refused = c.refused[:0]
}
