package model

import (
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// laneQueue is the queue with lanes.
const laneQueue = 0

// settleIn makes what an arrangement has at the start.
func (x *search) settleIn(n *next) {
	for i := range procs {
		if x.Asleep && x.fetches(n, i, 0) {
			x.execute(n, &n.p(i).calls[0])
			x.receive(n, i, 0)
			x.turnBells(n, i, 0)
		}
	}
	for id := range max(x.Jobs, 2) {
		if j := x.job(id); x.Parked && j.Lane != 0 {
			n.redis.Push(laneQueue, j)
			n.past.pushed[id] = true
			n.past.arrives(j)
		}
	}
	if x.Parked {
		n.redis.Sift(n.redis.lanes.Rev, n.redis.Page())
	}
}

// readRule is what a process learns when its source is refreshed.
func (p *proc) readRule(l *Lanes) {
	p.rev = -1
	if l.On {
		p.rev = l.Rev
	}
	sourced := make([]bool, queues)
	sourced[laneQueue] = l.On
	for _, k := range p.ledgers {
		k.Sourced(sourced)
	}
}

// refresh adds what Refresh of a source does, which a process calls once a second: it reads the
// rule, wakes its capsules if a job may run, and gives parked jobs back if lanes are off.
func (x *search) refresh(w *world, i int) {
	p, l := w.proc[i], &w.redis.lanes
	if !x.Lanes || p.stop >= ended {
		return
	}
	rev, may := -1, l.mayHave() || l.due() && !x.ForgetClosed
	if l.On {
		rev = l.Rev
	}
	gives := !l.On && (l.parked() > 0 || len(l.Arrived) > 0 && !x.ForgetArrived)
	wakes := l.On && may && slices.ContainsFunc(p.ledgers, func(k *protocol.Process) bool {
		return k.Asleep(0)
	})
	if p.opens && l.due() {
		n := &next{world: *w}
		n.p(i).opens = false
		n.p(i).ledgers[0].Wake(0)
		x.add(n, event{wakesByTime, uint8(i), 0, 0})
	}
	if p.rev == rev && !gives && !wakes {
		return
	}
	n := &next{world: *w}
	if p.rev != rev {
		n.p(i).readRule(l)
	}
	if gives {
		n.r().DrainLanes(1)
	}
	if wakes {
		n.p(i).ledgers[0].Wake(0)
	}
	x.add(n, event{refreshes, uint8(i), 0, 0})
}

// due reports whether a lane with jobs is closed whose time has come.
func (l *Lanes) due() bool {
	return slices.ContainsFunc([]int8{0, 1, 2}, func(lane int8) bool {
		return l.wait.has(lane) && l.wait[lane] == 0 && len(l.Parked[lane]) > 0
	})
}

// mayHave reports whether one of the keys exists that say that a job may run.
func (l *Lanes) mayHave() bool { return len(l.Arrived) > 0 || l.ready.first() >= 0 }

// laneEvents adds what time and people do to lanes.
func (x *search) laneEvents(w *world) {
	l := &w.redis.lanes
	if !x.Lanes {
		return
	}
	for lane := range int8(laneCount) {
		if l.wait.has(lane) && l.wait[lane] > 0 {
			n := &next{world: *w}
			n.r().lanes.wait[lane] = 0
			x.add(n, event{opensLane, 0, uint8(lane), 0})
		}
	}
	if l.On && w.past.Drains > 0 {
		n := &next{world: *w}
		n.past.Drains--
		n.r().lanes.On = false
		x.add(n, event{turnsLanes, 0, 0, 0})
	}
	if !l.On && w.past.Sets > 0 {
		n := &next{world: *w}
		n.past.Sets--
		n.r().SetLanes(1, 0)
		x.add(n, event{turnsLanes, 0, 0, 1})
	}
}

// sift begins a sift, if the ledger wants one.
func (x *search) sift(w *world, i, k int) {
	p := w.proc[i]
	if p.rev < 0 || p.has(page, k) || p.has(sift, k) || len(p.ledgers[k].Unseen()) == 0 {
		return
	}
	n := &next{world: *w}
	m := &command{kind: page, id: i*lives + p.life, ledger: k, rev: p.rev}
	n.p(i).calls = append(n.p(i).calls, call{command: m.seal()})
	x.add(n, event{siftsLanes, uint8(i), uint8(k), 0})
}

// sifted handles the answers of the two commands of a sift. After the first it sends the second.
func (x *search) sifted(p *proc, c *call) {
	switch {
	case c.kind == sift:
		p.ledgers[c.ledger].Sifted(laneQueue, c.moved != len(c.read))
	case len(c.list) == 0:
		p.ledgers[c.ledger].Sifted(laneQueue, false)
	default:
		m := &command{kind: sift, id: c.id, ledger: c.ledger, read: c.list, rev: c.rev}
		p.calls = append(p.calls, call{command: m.seal()})
	}
}

// serveLanes carries out a command about lanes.
func (r *server) serveLanes(c *call) {
	switch c.kind {
	case arrive:
		c.rang = r.RingArrival()
	case ready:
		c.rang = r.RingReady()
	case page:
		c.list = r.Page()
	case sift:
		c.moved = r.Sift(c.rev, c.read)
	}
}

// sifts reports whether a process moves jobs to their lanes, or will.
func (p *proc) sifts() bool {
	return slices.ContainsFunc(p.ledgers, func(l *protocol.Process) bool {
		return len(l.Unseen()) > 0
	})
}

// sourcesOf returns the sources of a trip: those of its queues, and of its acks.
func sourcesOf(t *protocol.Trip, serves []int) []int {
	list := slices.Clone(t.Sources)
	for _, a := range t.Acks {
		at := slices.Index(serves, queueOf(a.Queue))
		if a.Sourced && at >= 0 && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
}

// kindOf returns the kind of the command of a doorbell.
func (x *search) kindOf(p *proc, t *protocol.Trip) sort {
	if x.BellDelivers && t.Want == 0 && !t.Source {
		t.Want, t.First = 1, p.tokens(1)
	}
	switch {
	case t.Want > 0:
		return bell
	case t.Source:
		return ready
	}
	return arrive
}

func (c *command) isBell() bool { return c.kind == bell || c.kind == arrive || c.kind == ready }

// bellIndex is the index of a bell in its ledger.
func (c *command) bellIndex() int {
	if c.kind == ready {
		return queues + c.queue
	}
	return c.queue
}

// can reports whether Redis can carry a command out. A bell waits.
func (r *server) can(c *command) bool {
	switch c.kind {
	case bell, arrive:
		return len(r.lists[c.queue]) > 0
	case ready:
		return r.lanes.Bell
	}
	return true
}

// rangLane tells the ledger how a doorbell of the queue with lanes came down.
func (x *search) rangLane(p *proc, c *call, r protocol.Rung) {
	l := p.ledgers[c.ledger]
	if x.NoHandOn && (l.IsQuiet() || l.Free(0) == 0) {
		r = protocol.Rung{}
	}
	l.Down(l.Carried(c.bellIndex()), r)
}

// soon is when a lane opens that a job has closed.
var soon = time.Unix(1, 0)

// closeLane adds that a job closes its lane for a time, and goes back to it.
func (x *search) closeLane(w *world, i, at int) {
	r := w.proc[i].runs[at]
	if w.past.Closes == 0 || r.phase != runs {
		return
	}
	n := &next{world: *w}
	n.past.Closes--
	p := n.p(i)
	l, d := p.entry(&r)
	s := x.settlementOf(n, d, queue.Requeue, r.job)
	s.At = soon
	l.Finish(d, s)
	p.runs = slices.Delete(p.runs, at, at+1)
	x.add(n, event{closesLane, uint8(i), uint8(at), 0})
}

// leaveDead is the effect of lanes for a delivery that a reclaimer takes.
func (t *Twin) leaveDead(id, q int, token uint64, back bool) {
	if !t.KeepPlaces {
		t.leaveLane(id, q, token, back, 0)
	}
}

// appendKey appends a key that lanes share only if all follows alike. Virtual times matter only
// against each other.
func (l *Lanes) appendKey(b []byte) []byte {
	b = append(b, '#', bits(l.On, l.Bell), byte(l.Rev), byte(l.Running))
	b = appendJobs(b, l.Arrived)
	for lane := range l.Parked {
		b = append(appendJobs(b, l.Parked[lane]), byte(l.Busy[lane]))
		for _, set := range []*ranks{&l.ready, &l.full, &l.past} {
			if !set.has(int8(lane)) || set == &l.past && set[lane] <= l.V {
				b = append(b, '-')
			} else {
				b = append(b, byte(100+int(set[lane]-l.V)))
			}
		}
		b = append(b, bits(l.wait.has(int8(lane)), l.wait[lane] > 0))
	}
	for _, p := range l.Places {
		b = append(b, byte(p.Identity), byte(p.Token), byte(p.Lane))
	}
	return b
}
