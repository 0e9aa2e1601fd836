package protocol

// Join ties the Processes of one process of the system, one for each shard. They share the seats of
// each capsule, because there are as many threads as seats, and the gate, because a suspect must be
// alone in the whole process. Each has its own owner, deliveries and doorbells. The caller joins
// them before it uses them, with the same capsules and queues, and under one lock.
func Join(list []*Process) {
	for i, p := range list {
		p.gate = list[0].gate
		p.peers = nil
		for k, other := range list {
			if k != i {
				p.peers = append(p.peers, other)
			}
		}
	}
}

// occupied counts the seats of a capsule that are taken, by the deliveries of all shards.
func (p *Process) occupied(ci int) int {
	n := p.capsules[ci].held()
	for _, peer := range p.peers {
		n += peer.capsules[ci].lent()
	}
	return n
}

// lent counts the seats that the deliveries of a shard take from the other shards: those that have
// a thread, wait for one, or may come with a trip. Results that are not confirmed take seats only
// from their own shard, and trips to a shard that is out from none: a shard that hangs must not
// stop the others. The price is that a crash can make as many jobs run again, for each shard, as
// there are seats.
func (c *capsule) lent() int {
	n := len(c.ready) + len(c.running)
	if c.out {
		return n
	}
	for _, t := range c.trips {
		n += t.Want
	}
	return n
}

// hasOver returns how many deliveries of a capsule have no seat, without those that trips may
// bring.
func (p *Process) hasOver(ci int) int {
	n := p.capsules[ci].has() - p.capsules[ci].Seats
	for _, peer := range p.peers {
		n += len(peer.capsules[ci].ready) + len(peer.capsules[ci].running)
	}
	return n
}

// underway counts the trips of a capsule that are under way, to all shards that answer in time.
func (p *Process) underway(ci int) int {
	n := len(p.capsules[ci].trips)
	for _, peer := range p.peers {
		if c := &peer.capsules[ci]; !c.out {
			n += len(c.trips)
		}
	}
	return n
}

// Out sets whether the shard is left out for a capsule because it does not answer in time.
func (p *Process) Out(ci int, out bool) { p.capsules[ci].out = out }

// Rest records that a look has found all queues of a capsule empty in this shard, so that doorbells
// are hung. It reports whether that is a change.
func (p *Process) Rest(ci int) (news bool) {
	c := &p.capsules[ci]
	if c.asleep || len(c.trips) > 0 || p.rang(c) {
		return false
	}
	c.asleep = true
	return true
}

// Rang reports whether the landing lists of a capsule's queues may hold jobs, and whether that of
// its first queue may.
func (p *Process) Rang(ci int) (any, first bool) {
	c := &p.capsules[ci]
	return p.rang(c), p.landed[c.Queues[0]]
}

// Takes reports whether a trip of a capsule could take jobs from a queue of it, given by its place
// in the capsule: it is not paused, no key of it has a wrong type, and no bound is reached.
func (p *Process) Takes(ci, place int) bool {
	c := &p.capsules[ci]
	q := c.Queues[place]
	return !p.paused[q] && !p.shunned[q] && !c.bounded(q)
}
