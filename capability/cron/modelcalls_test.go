package cron

import "strings"

// call lets Redis carry a call out, or a reply arrive or get lost.
func (m *model) call(w world, i int) {
	c := w.calls[i]
	switch {
	case c.kind == 0:
	case !c.done:
		next := w
		m.carryOut(&next, i)
		m.add(w, next)
	default:
		next := w
		m.receive(&next, i)
		m.add(w, next)
	}
	if c.kind == 0 || w.budget.lost == 0 || c.from < 0 {
		return
	}
	next := w // the caller gives up; Redis may still carry the call out
	next.budget.lost--
	m.forget(&next, i)
	m.add(w, next)
}

// forget lets the caller of a call go on without its reply.
func (m *model) forget(w *world, i int) {
	c := &w.calls[i]
	p := &w.procs[c.from]
	p.busy = 0
	if m.d.lostIsDone && c.kind == 'c' {
		p.last = c.slot
	}
	if c.from = -1; c.done {
		*c = request{}
	}
}

func (m *model) carryOut(w *world, i int) {
	c, now := &w.calls[i], int64(w.now)
	switch c.kind {
	case 'o':
		c.ok, c.got = w.own(m.d, now, c.number, c.version, modelGone)
	case 'e':
		var last int64
		known := w.known
		last, c.ok = w.enter(m.d, now, c.version, c.version, 1)
		if c.ok && !known {
			w.ours = w.now
		}
		if c.ok && w.digest != c.version {
			m.blame("version %d writes the entry and does not count", c.version)
		}
		c.got = int8(last)
	case 'c':
		m.claimSlot(w, c)
	}
	if c.done = true; c.from < 0 {
		*c = request{} // nobody waits for the reply
	}
}

// claimSlot carries a claim out, with the push unless the design has two steps.
func (m *model) claimSlot(w *world, c *request) {
	t := try{slot: int64(c.slot), rev: c.version, digest: c.version}
	if w.budget.beside {
		t.beside = 1 << c.slot
	}
	if w.budget.lock {
		t.job = int64(c.slot)
	}
	if m.d.pushFirst {
		m.push(w, c)
	}
	before := w.twin
	c.why = w.claim(m.d, int64(w.now), t)
	if c.ok = c.why == ""; c.ok {
		m.allowed(&before, w, c)
	}
	if c.ok && !m.d.twoSteps && !m.d.pushFirst {
		m.push(w, c)
	}
	if strings.HasPrefix(c.why, "skipped") {
		w.over[c.slot] = true
	}
}

// allowed judges a claim that was granted.
func (m *model) allowed(before *twin, w *world, c *request) {
	switch {
	case w.now < c.slot:
		m.blame("the slot %d is pushed at %d", c.slot, w.now)
	case before.digest != c.version:
		m.blame("the slot %d is pushed by version %d, which does not count", c.slot, c.version)
	case before.rev != c.version:
		m.blame("the slot %d is pushed with another spec than Redis has", c.slot)
	case w.paused[c.slot] && w.now >= c.slot:
		m.blame("the slot %d of the pause is pushed", c.slot)
	case c.slot < w.ours:
		m.blame("the slot %d was before the entry", c.slot)
	}
	for slot, alive := range w.alive {
		if w.budget.lock && alive {
			m.blame("the slot %d is pushed while the job of %d is not over", c.slot, slot)
		}
	}
}

func (m *model) push(w *world, c *request) {
	w.pushed[c.slot]++
	w.alive[c.slot] = true
}

// receive lets a process hear a reply.
func (m *model) receive(w *world, i int) {
	c := w.calls[i]
	w.calls[i] = request{}
	p := &w.procs[c.from]
	p.busy = 0
	switch {
	case c.kind == 'o':
		p.owns, p.number, p.asks = c.ok, c.got, false
		p.entered = p.entered && c.ok
	case c.kind == 'e' && !c.ok:
		p.asks = true
	case c.kind == 'e':
		p.entered, p.last = true, max(p.last, c.got)
	case c.why == "owner":
		p.owns, p.entered, p.asks = false, false, true
	case c.why == "rev":
		p.entered, p.asks = false, true
	case c.why == "early":
	case c.ok && m.d.twoSteps:
		p.push, p.last = c.slot+1, c.slot
	default:
		p.last = c.slot
	}
}
