package queue_test

import "strings"

// judge looks for faults of a state.
func (m *siftModel) judge(w *siftWorld) {
	m.judgePlaces(w)
	m.judgeOrder(w)
	for op := range w.ops {
		if w.ways[op].few > 0 && w.ops[op].state == siftDone {
			m.judgeDone(w, op, "is done, and")
		}
	}
	if m.fault == "" {
		m.finish(*w)
	}
}

// judgePlaces finds jobs that are in no place or in two, and jobs that no operation may choose.
func (m *siftModel) judgePlaces(w *siftWorld) {
	chosen := w.staged + w.dest + w.ops[0].trash + w.ops[1].trash
	all := w.queue + w.sifted + chosen
	for job := byte('a'); job <= w.pushed; job++ {
		n := strings.Count(all, string(job))
		if w.given&bit(job) != 0 {
			n++
		}
		if n != 1 {
			m.blame("%c is in %d places", job, n)
		}
	}
	changed := int8(0)
	for op := range w.ops {
		changed += w.ops[op].changed
	}
	if want := int8(len(chosen)) + w.restored; changed != want && !m.counts(w) {
		m.blame("%d jobs are changed, and the records say %d", want, changed)
	}
	for i := range chosen {
		if w.later(chosen[i]) {
			m.blame("%c came later and is chosen", chosen[i])
		}
		if !strings.ContainsRune(w.ways[0].chosen+w.ways[1].chosen, rune(chosen[i])) {
			m.blame("%c is chosen, and no filter matches it", chosen[i])
		}
	}
}

// counts reports whether a living operator is about to count what it changed.
func (m *siftModel) counts(w *siftWorld) bool {
	for _, p := range w.operators {
		if p.at == siftCount {
			return true
		}
	}
	return false
}

// judgeOrder finds chosen jobs that are not in the order of pushing.
func (m *siftModel) judgeOrder(w *siftWorld) {
	check := func(name, list string) {
		last := byte('z')
		for i := range list {
			if job := list[i]; w.back&bit(job) == 0 {
				if job > last {
					m.blame("%s is in no order: %s", name, list)
				}
				last = job
			}
		}
	}
	check("the trash", w.ops[0].trash)
	check("the trash", w.ops[1].trash)
	check("the list of staged jobs", w.staged)
	if !w.early {
		check("the other queue", w.dest)
	}
}

// judgeDone finds what an operation has not done, and its traces.
func (m *siftModel) judgeDone(w *siftWorld, op int, when string) {
	todo := bitsOf(w.wants(m.d, op).chosen) &^ w.back & bitsOf(w.queue+w.sifted)
	if todo != 0 {
		m.blame("the operation %s has missed jobs of %s", when, w.queue+w.sifted)
	}
	if w.claim == int8(op)+1 || w.ops[op].edge != "" || w.claim == 0 && w.sifted+w.staged != "" {
		m.blame("the operation %s leaves traces", when)
	}
}

// finish lets all operators die. Then workers must be able to put everything back, and another
// operator to go on with each operation to its end.
func (m *siftModel) finish(w siftWorld) {
	w.operators = [3]siftOperator{}
	for op := range w.ops {
		w.ops[op].over = true
	}
	for n := 0; w.claim != 0; n++ {
		before := w.claim
		if left, problem := w.putBack(m.d, int(w.claim)-1, 0); problem != "" || n > 50 {
			m.blame("workers cannot put back: %d left: %s", left, problem)
			return
		}
		if w.claim != 0 && w.claim != before {
			m.blame("the claim goes from %d to %d", before, w.claim)
		}
	}
	if w.sifted+w.staged+w.ops[0].edge+w.ops[1].edge != "" {
		m.blame("put back leaves traces: sifted %q, staged %q, edges %q %q", w.sifted, w.staged,
			w.ops[0].edge, w.ops[1].edge)
	}
	for op := range w.ops {
		if w.ways[op].few > 0 && w.ops[op].state != siftDone {
			m.resume(&w, op)
		}
	}
	m.judgePlaces(&w)
	m.judgeOrder(&w)
}

// resume carries an operation out to its end, with nobody beside it.
func (m *siftModel) resume(w *siftWorld, op int) {
	w.operators[2] = siftOperator{at: siftTake, op: int8(op), token: 9}
	for n := 0; w.operators[2].at != ""; n++ {
		if n > 200 {
			m.blame("an operator does not end")
			return
		}
		w.step(m.d, 2)
	}
	if state := w.ops[op].state; state != siftDone {
		m.blame("an operator that goes on ends as %s", state)
		return
	}
	m.judgeDone(w, op, "that was resumed")
}
