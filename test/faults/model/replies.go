package model

import "github.com/kyujobs/kyu/queue"

// arrive hands the reply of a trip, or its loss, to the ledger.
func (x *search) arrive(p *proc, c *call, err error) {
	l, ci := p.ledger(c.capsule)
	for _, t := range l.Trips(ci) {
		if t.First == c.fetch.First && t.Want == c.fetch.Want && idOf(t.Owner) == c.id {
			if err == nil && c.fetched.Lost {
				err = queue.ErrLeaseLost
			}
			l.Returned(t, x.bring(c), err)
			if err == nil && c.fetch.Want > 0 {
				p.opens = c.fetched.Opens
			}
			return
		}
	}
	panic("a trip returns that was not begun")
}

// bring returns the reply of a fetch in the form that a ledger reads.
func (x *search) bring(c *call) queue.Fetched {
	b := queue.Fetched{Acked: c.fetched.Acked, More: c.fetched.More}
	for _, t := range c.fetched.Jobs {
		b.Jobs = append(b.Jobs, queue.Delivery{Raw: raw(t.Job), Queue: queueNames[t.Queue],
			Owner: owners[c.id], Token: t.Token,
			Sourced: t.Queue == laneQueue && len(c.fetch.Sources) > 0})
	}
	b.Unseen = c.fetched.Unseen
	return b
}
