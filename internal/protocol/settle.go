package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// SettlePage limits one settle script.
var SettlePage = Page{Count: 100, Bytes: 4 << 20}

// Page limits a batch by its count and by the bytes of its payloads. It is halved after a lost
// reply, so that a batch that is too large for the time-out becomes small enough, and doubled
// after each reply. A batch may always have one item.
type Page struct{ Count, Bytes int }

// Halved returns half of p, at least one item.
func (p Page) Halved() Page { return Page{max(1, p.Count/2), max(1, p.Bytes/2)} }

// Doubled returns twice p, at most limit.
func (p Page) Doubled(limit Page) Page {
	return Page{min(limit.Count, 2*p.Count), min(limit.Bytes, 2*p.Bytes)}
}

// Finish sets the settlement of a running delivery; nil means that it is done. A delivery that
// is done and has effects needs a settlement, because a fetch does not carry out effects.
// Finish returns false and does nothing if the delivery was given back before (see Abandon).
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
	c.wakeBounded(e.Queue)
	if e.Sourced { // its place may be what another job waits for: the ack goes with a fetch, now
		c.asleep, c.short = false, false
	}
	if s == nil && e.Owner == p.Owner && !p.quiet {
		c.acks = append(c.acks, e)
	} else {
		c.rest = append(c.rest, e)
	}
	return true
}

// Abandon gives back a delivery whose handler runs on after its context has ended: the job may
// run twice.
func (p *Process) Abandon(e *Entry) {
	p.Finish(e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Requeue})
}

// Urgent reports whether a capsule has deliveries to settle that no fetch settles.
func (p *Process) Urgent(ci int) bool {
	c := &p.capsules[ci]
	return len(c.rest) > 0 || len(c.sending) > 0
}

// Unsettled counts the deliveries of a capsule that have finished and are not confirmed, except
// those that trips under way acknowledge.
func (p *Process) Unsettled(ci int) int {
	c := &p.capsules[ci]
	return len(c.acks) + len(c.rest) + len(c.sending) + len(c.refused)
}

// Batch returns the next settlements of a capsule, at most a page. It is empty if there are
// none, or if a batch is under way. Deliveries that go back to their queues come first, the
// newest of them first, so that the oldest is taken first again. At most queue.MaxEffectItems
// deliveries have effects.
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
		e := c.rest[n]
		if e.Settlement != nil {
			bytes += len(e.Settlement.Payload)
		}
		if e.Sourced || e.Settlement != nil && len(e.Settlement.Effects) > 0 {
			effects++
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

// newestBackFirst orders deliveries that go back to their queues before all others, by falling
// tokens. The order of the others does not matter.
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

// Confirmed records the reply of a batch: a result for each settlement. A delivery that Redis
// refuses is set aside until Retry, so that it does not delay others. stale counts deliveries
// that had been reclaimed.
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

// Failed records that a batch had no reply: its deliveries are settled again, in smaller
// batches. A batch of one that Redis answered with an error (rejected) is set aside like a
// refused delivery.
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

// Refused counts the deliveries of a capsule that are set aside.
func (p *Process) Refused(ci int) int { return len(p.capsules[ci].refused) }

// Retry makes the next batches settle the deliveries that were set aside.
func (p *Process) Retry(ci int) {
	c := &p.capsules[ci]
	c.rest = append(c.rest, c.refused...)
	clear(c.refused)
	c.refused = c.refused[:0]
}
