package queue_test

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// The model searches the orders in which things can happen to a queue, through which one or two
// operations go, and to their operators: workers take jobs, and give jobs back; programs push jobs;
// operators die, stall, are cancelled, and another one goes on; workers put the jobs of operations
// back; a person undoes a deletion. Redis is the twin.

// siftWorld is a state. It is comparable, so a map finds it again.
type siftWorld struct {
	siftTwin
	siftArrangement
	operators [3]siftOperator
	pushed    byte   // the last job
	given     uint32 // jobs that workers have taken, as bits
	back      uint32 // of all jobs, those that were put back: they have lost their place
	restored  int8   // how many jobs were restored, with repetitions
	since     int8   // jobs taken since the last page was sifted
	early     bool   // staged jobs were moved while older ones were not: the caller was dead
}

// siftArrangement is what may happen, and how often.
type siftArrangement struct {
	name     string
	ways     [2]siftWork
	moment   byte // the last job that was pushed before the operations began
	pages    int  // jobs that a page has
	most     int  // jobs that a call puts back
	takes    int8 // jobs that workers take
	pushes   int8
	backs    int8 // jobs that workers put back
	clocks   int8 // how often the time of a ticket ends
	deaths   int8
	cancels  int8
	resumes  int8 // operators that go on with the first operation
	undos    int8
	cuts     int8 // how often the connection of an operator ends before it has put back
	more     int  // jobs that workers may take beyond the limit between two pages
	anyOrder bool // then nothing is said of the order in which they take them
	far      int
}

// siftWork is an operation of an arrangement.
type siftWork struct {
	siftWay
	all bool
}

func bit(job byte) uint32 { return 1 << (job - 'a') }

func bitsOf(list string) (set uint32) {
	for i := range list {
		set |= bit(list[i])
	}
	return set
}

// newSiftWorld has the jobs a, b, … up to the moment in the queue.
func newSiftWorld(a siftArrangement) siftWorld {
	w := siftWorld{siftArrangement: a, pushed: a.moment}
	for job := byte('a'); job <= a.moment; job++ {
		w.queue = string(job) + w.queue
	}
	for i := range w.ways {
		if w.ways[i].few == 0 {
			continue
		}
		if w.far == 0 {
			w.far = 99
		}
		w.ways[i].far = w.far
		w.ops[i].state = siftStopped
		w.operators[i] = siftOperator{at: siftTake, op: int8(i), token: int8(i) + 1}
	}
	return w
}

// putBack puts jobs of an operation back, and notes whether jobs overtake others that way.
func (w *siftWorld) putBack(d *siftDesign, op int, token int8) (int, string) {
	r := &w.ops[op]
	moved, length := len(w.staged), len(w.sifted)
	right := r.token == token || token == 0 && r.over
	older := (bitsOf(w.queue) | bitsOf(w.sifted)) & bitsOf(w.wants(d, op).chosen)
	left, problem := w.unsift(d, op, token, w.most, w.far)
	w.early = w.early || right && len(w.staged) < moved && older != 0
	w.since = max(0, w.since-int8(max(0, length-len(w.sifted))))
	return left, problem
}

// siftModel is a search.
type siftModel struct {
	d      *siftDesign
	seen   map[siftWorld]int32
	states []siftWorld
	from   []int32
	how    []string
	todo   []int32
	at     int32 // whose next states are added now
	fault  string
}

func searchSift(d *siftDesign, a siftArrangement, limit int) *siftModel {
	m := &siftModel{d: d, seen: map[siftWorld]int32{}}
	m.add(newSiftWorld(a), "begin")
	for deep := false; len(m.todo) > 0 && len(m.states) < limit && m.fault == ""; deep = !deep {
		if last := len(m.todo) - 1; deep { // short and long sequences of events
			m.at, m.todo = m.todo[last], m.todo[:last]
		} else {
			m.at, m.todo = m.todo[0], m.todo[1:]
		}
		m.steps(m.states[m.at])
	}
	return m
}

// add adds a state that follows the present one.
func (m *siftModel) add(w siftWorld, how string) {
	if _, again := m.seen[w]; again || m.fault != "" {
		return
	}
	n := int32(len(m.states))
	m.seen[w] = n
	m.states, m.from, m.how = append(m.states, w), append(m.from, m.at), append(m.how, how)
	if m.judge(&w); m.fault != "" {
		m.at = n
	}
	m.todo = append(m.todo, n)
}

// blame notes a fault.
func (m *siftModel) blame(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

// story lists what happened on the way to the fault.
func (m *siftModel) story() string {
	var lines []string
	for at := m.at; ; at = m.from[at] {
		w := &m.states[at]
		lines = append(lines, fmt.Sprintf("%-24s queue %s sifted %s staged %s dest %s claim %d %+v",
			m.how[at], w.queue, w.sifted, w.staged, w.dest, w.claim, w.ops))
		if at == 0 {
			break
		}
	}
	slices.Reverse(lines)
	return m.fault + "\n" + strings.Join(lines, "\n")
}

// steps adds all states that a state leads to.
func (m *siftModel) steps(w siftWorld) {
	for i, p := range w.operators {
		if p.at == "" {
			continue
		}
		next := w
		chosen := next.step(m.d, i)
		if chosen != "" && w.ops[p.op].state != siftRunning {
			m.blame("the operation is %s, and changes %s", w.ops[p.op].state, chosen)
		}
		m.add(next, fmt.Sprint(i, " ", p.at))
		if w.deaths > 0 {
			next = w
			next.deaths--
			next.operators[i] = siftOperator{}
			m.add(next, fmt.Sprint(i, " dies"))
		}
		if w.cuts > 0 && p.at == siftLast {
			next = w
			next.cuts--
			next.operators[i].at, next.operators[i].problem = siftEnd, siftFailed
			m.add(next, fmt.Sprint(i, " cannot put back"))
		}
	}
	m.people(w)
	m.workers(w)
}

// people lets time go on, programs push, and persons act.
func (m *siftModel) people(w siftWorld) {
	if w.pushes > 0 {
		next := w
		next.pushes--
		next.pushed++
		next.queue = string(next.pushed) + next.queue
		m.add(next, "push")
	}
	for op := range w.ops {
		r := &w.ops[op]
		if w.clocks > 0 && !r.over && r.token != 0 {
			next := w
			next.clocks--
			next.ops[op].over = true
			m.add(next, "the ticket's time ends")
		}
		if w.cancels > 0 && (r.state == siftRunning || r.state == siftStopped) {
			next := w
			next.cancels--
			next.cancel(op)
			m.add(next, "cancel")
		}
		if w.undos > 0 && r.trash != "" && (r.state != siftRunning || r.over) {
			next := w
			next.undos--
			if next.cancel(op); m.d.undoOnly {
				next.ops[op].state = r.state
			}
			jobs := next.restore(op)
			next.back |= bitsOf(jobs)
			next.restored += int8(len(jobs))
			m.add(next, "undo")
		}
	}
	if r := &w.ops[0]; w.resumes > 0 && r.state != siftDone && (r.state != siftRunning || r.over) &&
		r.token != 0 {
		next := w
		next.resumes--
		next.operators[2] = siftOperator{at: siftTake, token: 3}
		m.add(next, "resume")
	}
}

// workers lets workers take and give back a job, and put back what operations hold.
func (m *siftModel) workers(w siftWorld) {
	if last := len(w.queue) - 1; w.takes > 0 && last >= 0 && w.mayTake() {
		next := w
		next.takes--
		job := w.queue[last]
		next.queue = w.queue[:last]
		next.given |= bit(job)
		if next.since++; w.sifted == "" {
			next.since = 0
		}
		older := bitsOf(w.queue+w.sifted) & (bit(job) - 1) &^ w.back
		if older != 0 && w.back&bit(job) == 0 && !w.anyOrder {
			m.blame("%c is taken before %c", job, 'a'+byte(bits.TrailingZeros32(older)))
		}
		m.add(next, "take "+string(job))
	}
	for job := byte('a'); w.backs > 0 && job <= w.pushed; job++ {
		if w.given&bit(job) == 0 {
			continue
		}
		next := w
		next.backs--
		next.given &^= bit(job)
		next.back |= bit(job)
		next.queue += string(job)
		m.add(next, "give back "+string(job))
	}
	if w.claim != 0 {
		next := w
		next.putBack(m.d, int(w.claim)-1, 0)
		m.add(next, "workers put back")
	}
}

// mayTake reports whether workers keep the limit: while jobs are sifted, they take at most the jobs
// that the last page has left, which are more than Few.
func (w *siftWorld) mayTake() bool {
	few := 0
	if w.claim > 0 {
		few = w.ways[w.claim-1].few
	}
	return w.sifted == "" || int(w.since) <= few+w.more
}
