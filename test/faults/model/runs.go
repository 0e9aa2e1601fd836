package model

import (
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// run adds what can become of a job in a thread.
func (x *search) run(w *world, i, at int) {
	r := &w.proc[i].runs[at]
	switch r.phase {
	case runs, alone:
		x.handler(w, i, at)
	case waits:
		x.wait(w, i, at)
	case entered:
		x.enter(w, i, at)
	case asks:
		x.ask(w, i, at)
	}
	if r.phase == alone && w.past.Besides > 0 { // its time alone is over, and it runs on
		n := &next{world: *w}
		n.past.Besides--
		x.open(n, i, at)
		x.add(n, event{opens, uint8(i), uint8(at), 0})
	}
}

// handler adds the ends of a run: success, failure, or interruption.
func (x *search) handler(w *world, i, at int) {
	p := w.proc[i]
	r := p.runs[at]
	e := event{endsWell, uint8(i), uint8(at), 0}
	if !x.Poison || r.job.ID != 0 {
		x.conclude(w, e, queue.Done, r.job)
		if r.job.Fails < x.Fails {
			j, a := r.job, queue.Retry
			j.Crashes, j.Fails = 0, j.Fails+1
			if j.Fails == x.Fails {
				a = queue.Dead
			}
			e.what = fails
			x.conclude(w, e, a, j)
		}
	}
	if x.interrupted(p, &r) {
		e.what = putsBack
		x.conclude(w, e, queue.Requeue, r.job)
		x.abandon(w, i, at)
	}
	x.closeLane(w, i, at)
}

// interrupted reports whether the context of a run has ended.
func (x *search) interrupted(p *proc, r *run) bool {
	return !p.held || p.stop >= ended || r.id%lives != p.life
}

// conclude adds the state after a run has ended. j is the job as it is settled.
func (x *search) conclude(w *world, e event, a queue.Action, j Job) {
	i, at := int(e.proc), int(e.a)
	n := &next{world: *w}
	p := n.p(i)
	r := &p.runs[at]
	l, d := p.entry(r)
	if d == nil {
		n.is(knownTwice, "a run is not in the ledger")
	} else {
		l.Finish(d, x.settlementOf(n, d, a, j))
	}
	if d != nil && a == queue.Done {
		if n.past.well[j.ID] && !n.past.excused[j.ID] {
			n.is(twice, "job %d has ended well before, and its owner is alive", j.ID)
		}
		n.past.well[j.ID] = true
	}
	if r.phase == alone {
		r.over = true
		x.open(n, i, at)
	} else {
		p.runs = slices.Delete(p.runs, at, at+1)
	}
	x.add(n, e)
}

// wait adds what can become of a suspect that waits for its turn.
func (x *search) wait(w *world, i, at int) {
	p := w.proc[i]
	r := p.runs[at]
	e := event{entersGate, uint8(i), uint8(at), 0}
	open := p.ledgers[r.ledger].Inside() == nil
	if open {
		n := &next{world: *w}
		l, d := n.p(i).entry(&r)
		l.Enter(d)
		n.p(i).runs[at].phase = entered
		x.add(n, e)
	}
	if open && w.past.Besides > 0 {
		n := &next{world: *w}
		n.past.Besides--
		n.p(i).ledgers[r.ledger].Beside()
		x.tell(n, i, at, beside, tellingBeside)
		e.what = goesBeside
		x.add(n, e)
	}
	if x.interrupted(p, &r) {
		n := &next{world: *w}
		l, d := n.p(i).entry(&r)
		l.Leave()
		l.Finish(d, x.settlementOf(n, d, queue.Requeue, r.job))
		n.p(i).runs = slices.Delete(n.p(i).runs, at, at+1)
		e.what = putsBack
		x.add(n, e)
	}
}

// enter adds what can become of a suspect that has closed the gate.
func (x *search) enter(w *world, i, at int) {
	p := w.proc[i]
	r := p.runs[at]
	l, d := p.entry(&r)
	e := event{marks, uint8(i), uint8(at), 0}
	if d != nil && l.Alone(d) {
		n := &next{world: *w}
		x.tell(n, i, at, mark, marking)
		x.add(n, e)
	}
	if w.past.Besides > 0 || x.interrupted(p, &r) {
		n := &next{world: *w}
		if !x.interrupted(p, &r) {
			n.past.Besides--
		}
		x.open(n, i, at)
		e.what = opens
		x.add(n, e)
	}
}

// tell sends a mark, an unmark or a beside to Redis.
func (x *search) tell(n *next, i, at int, what sort, ph phase) {
	p := n.p(i)
	r := &p.runs[at]
	r.phase = ph
	p.marks++
	m := &command{kind: what, id: r.id, ledger: r.ledger, token: r.token, number: p.marks,
		runsOn: what == unmark && r.running && !r.over}
	p.calls = append(p.calls, call{command: m.seal()})
}

// open begins to open the gate: first it tells Redis.
func (x *search) open(n *next, i, at int) {
	x.tell(n, i, at, unmark, opening)
	if x.OpenMarked {
		l := n.p(i).ledgers[n.proc[i].runs[at].ledger]
		l.Open(l.Inside())
	}
}

// told handles Redis's answer to tell, or that the answer is lost.
func (x *search) told(n *next, i int, c *call, answered bool) {
	p := n.p(i)
	at := slices.IndexFunc(p.runs, func(r run) bool { return r.id == c.id && r.token == c.token })
	r := &p.runs[at]
	switch {
	case c.kind == mark && answered:
		r.phase, r.running = alone, true
	case c.kind == mark:
		x.open(n, i, at)
	case c.kind == beside && answered:
		r.phase, r.running = runs, true
	case c.kind == beside && !x.interrupted(p, r):
		x.tell(n, i, at, beside, tellingBeside)
	case c.kind == beside: // it has not started, and its job goes back
		l, d := p.entry(r)
		l.Finish(d, x.settlementOf(n, d, queue.Requeue, r.job))
		p.runs = slices.Delete(p.runs, at, at+1)
	case !answered && (p.held || !x.OpenUntold) && r.id%lives == p.life:
		x.open(n, i, at)
	default:
		l := p.ledgers[r.ledger]
		if l.Inside() != nil {
			l.Open(l.Inside())
		}
		switch {
		case r.over:
			p.runs = slices.Delete(p.runs, at, at+1)
		case r.running:
			r.phase = runs
		default: // it was not alone in time
			x.tell(n, i, at, beside, tellingBeside)
		}
	}
}

// stopping adds the steps of a stop.
func (x *search) stopping(w *world, i int) {
	p, e := w.proc[i], event{proc: uint8(i)}
	n := &next{world: *w}
	switch {
	case p.stop == working && w.past.Stops > 0:
		n.past.Stops--
		n.p(i).stop = quiet
		for _, l := range n.p(i).ledgers {
			l.Quiet()
		}
		e.what = quiets
	case p.stop == quiet:
		n.p(i).stop = ended
		e.what = endsIntake
	case p.stop == ended && !p.hung() && !p.calling(sweep):
		id := i*lives + p.life
		f := Fetch{ID: id, Queues: []int{0, 1}, Adopt: []int{0, 1}, Done: make([][]uint64, queues),
			Room: 1 << 20, Limit: 1 << 20}
		for q := range queues {
			if p.ledgers[0].IsSourced(q) {
				f.Sources = append(f.Sources, q)
			}
		}
		m := &command{kind: sweep, id: id, fetch: f}
		n.p(i).calls = append(n.p(i).calls, call{command: m.seal()})
		e.what = sweeps
	case p.stop == swept && len(p.runs) == 0 && (x.LeaveEarly || p.settled()):
		x.leave(n, i)
		e.what = leaves
	default:
		return
	}
	x.add(n, e)
}

func (p *proc) calling(kind sort) bool {
	return slices.ContainsFunc(p.calls, func(c call) bool { return c.kind == kind })
}

func (p *proc) hung() bool {
	return slices.ContainsFunc(p.ledgers, func(l *protocol.Process) bool { return l.Hung() })
}

func (p *proc) settled() bool {
	return !slices.ContainsFunc(p.ledgers, func(l *protocol.Process) bool { return !l.Settled() })
}

// leave gives up the lease, and ends the process.
func (x *search) leave(n *next, i int) {
	id := i*lives + n.proc[i].life
	for q := range queues {
		for _, h := range n.redis.flight[id*queues+q] {
			if n.past.well[h.Job.ID] && !n.past.excused[h.Job.ID] {
				n.is(left, "job %d has ended, and is still in flight", h.Job.ID)
			}
		}
	}
	n.r().Leave(id, 1)
	x.end(n, i)
}

// network adds what can become of commands without a sender, and a restart of Redis.
func (x *search) network(w *world) {
	for at, l := range w.redis.late {
		e := event{executesLate, uint8(l.id), uint8(at), uint8(l.kind)}
		if w.redis.can(l) {
			n := &next{world: *w}
			c := &call{command: l}
			r := n.r()
			r.late = slices.Delete(r.late, at, at+1)
			x.execute(n, c)
			c.kept = nil // its sender is gone
			if c.stage == half && l.kind == bell {
				r.late = append(r.late, l.asAnswer())
			}
			x.add(n, e)
		}
		n := &next{world: *w}
		r := n.r()
		r.late = slices.Delete(r.late, at, at+1)
		e.what = dropsLate
		x.add(n, e)
	}
	if w.past.Restarts == 0 {
		return
	}
	n := &next{world: *w}
	n.past.Restarts--
	for i, p := range w.proc {
		for range p.calls {
			x.lose(n, i, 0)
		}
	}
	n.r().late = nil
	x.add(n, event{what: restartsRedis})
}
