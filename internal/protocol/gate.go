package protocol

// gate lets a suspect run alone: a job that was in flight at so many crashes that one more
// would make it poison. While somebody is inside, nothing else starts and nothing is
// fetched. So when the process dies, only the suspect was running, and no innocent job pays.
// Package worker bounds how long the gate stays closed.
type gate struct {
	inside  *Entry // nil: open
	waiting int    // suspects that have a thread and wait for their turn
}

func (g *gate) closed() bool { return g.inside != nil }

// Wait notes that a suspect that has a thread waits for its turn, and runs nothing.
func (p *Process) Wait() { p.gate.waiting++ }

// Leave notes that a suspect waits no more, and does not run.
func (p *Process) Leave() { p.gate.waiting-- }

// Enter closes the gate for a suspect that waits. It returns false if another is inside.
func (p *Process) Enter(e *Entry) bool {
	if p.gate.closed() {
		return false
	}
	p.gate.inside = e
	p.gate.waiting--
	return true
}

// Alone reports whether nothing runs but the suspect inside.
func (p *Process) Alone(e *Entry) bool {
	n := 0
	for i := range p.capsules {
		n += len(p.capsules[i].running)
	}
	return p.gate.inside == e && n-p.gate.waiting == 1
}

// Open opens the gate again, if the suspect is inside. The mark in Redis that it runs alone
// must be gone before.
func (p *Process) Open(e *Entry) {
	if p.gate.inside == e {
		p.gate.inside = nil
	}
}

// Beside ends the wait of a suspect that got no turn: it runs beside the others. It returns
// false while the gate is closed: then it must wait on, for another suspect is alone.
func (p *Process) Beside() bool {
	if p.gate.closed() {
		return false
	}
	p.gate.waiting--
	return true
}
