package protocol

// gate lets a suspect run alone. A suspect is a job that was in flight at so many crashes that
// one more would make it poison. While a suspect is inside the gate, no other job starts or is
// fetched. If the process dies then, the suspect is the cause, and no other job is blamed.
// Package worker limits the time for which the gate stays closed.
type gate struct {
	inside  *Entry // the suspect that runs alone; nil: the gate is open
	waiting int    // suspects that have a thread and wait to enter
}

func (g *gate) closed() bool { return g.inside != nil }

// Wait records that a suspect has a thread and waits to enter. It does not run yet.
func (p *Process) Wait() { p.gate.waiting++ }

// Leave records that a suspect no longer waits, and does not run.
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

// Alone reports whether e is the suspect inside and no other job runs.
func (p *Process) Alone(e *Entry) bool {
	n := p.runs()
	for _, peer := range p.peers {
		n += peer.runs()
	}
	return p.gate.inside == e && n-p.gate.waiting == 1
}

// runs counts the running deliveries.
func (p *Process) runs() (n int) {
	for i := range p.capsules {
		n += len(p.capsules[i].running)
	}
	return n
}

// Open opens the gate again, if e is inside. Before, the caller must remove the record in Redis
// that e runs alone.
func (p *Process) Open(e *Entry) {
	if p.gate.inside == e {
		p.gate.inside = nil
	}
}

// Beside ends the wait of a suspect that could not enter in time: it runs beside other jobs. It
// returns false while the gate is closed: the suspect must wait, because another one is alone.
func (p *Process) Beside() bool {
	if p.gate.closed() {
		return false
	}
	p.gate.waiting--
	return true
}
