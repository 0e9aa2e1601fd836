package cron

import (
	"fmt"
	"strings"
	"time"
)

// The model searches the orders in which things can happen to three processes, a gem of Ruby and a
// Redis: replies that are late or lost, crashes between any two steps, a deploy of another version,
// a process without a connection for long, a pause, jobs that end, clocks that are wrong. Redis is
// the twin. The slots are the seconds 1 to lastSlot, and the processes plan them with due and
// advance, as the Scheduler does.
const (
	modelProcs = 3 // the third starts with the deploy
	modelCalls = 3
	lastSlot   = 3
	modelGone  = 2 // seconds of silence after which an owner is gone
)

// seconds is a timing with the slots of the model.
type seconds struct{}

func (seconds) next(after time.Time) time.Time {
	if n := after.Unix() + 1; n <= lastSlot {
		return time.Unix(max(n, 1), 0)
	}
	return time.Time{}
}

// caller is a process: what it knows, and whether it waits for a reply.
type caller struct {
	up, owns, entered, asks bool
	version, number         int8 // of its schedule, of itself
	last                    int8
	busy                    int8 // index of its call + 1
	push                    int8 // with claims in two steps: the slot that it still has to push + 1
}

// request is a call on its way to Redis, or its reply on the way back.
type request struct {
	kind    byte // 'o'wn, 'e'nter, 'c'laim; 0: none
	from    int8
	version int8
	number  int8
	slot    int8
	done    bool // Redis has carried it out
	ok      bool
	got     int8 // the number, or the last slot
	why     string
}

// world is a state. It is comparable, so a map finds it again.
type world struct {
	twin
	now    int8
	procs  [modelProcs]caller
	calls  [modelCalls]request
	pushed [lastSlot + 1]int8 // how often each slot was
	over   [lastSlot + 1]bool // skipped for a reason
	ours   int8               // slots from here on are the entry's
	ruby   int8               // slot that Ruby has claimed and not pushed + 1
	alive  [lastSlot + 1]bool // jobs that are not over
	ended  [lastSlot + 1]bool
	paused [lastSlot + 1]bool // slots during a pause
	budget arrangement
}

// arrangement is how often things may happen.
type arrangement struct {
	name                                                string
	crashes, lost, deploys, pauses, rubies, ends, fasts int8
	lock, beside                                        bool
	back                                                bool // version 2 has come and gone
}

// model is a search.
type model struct {
	d     *design
	seen  map[world]struct{}
	from  map[world]world
	todo  []world
	at    world // whose next states are added now
	fault string
}

func search(d *design, a arrangement, limit int) *model {
	m := &model{d: d, seen: map[world]struct{}{}, from: map[world]world{}}
	w := world{budget: a}
	w.procs[0] = caller{up: true, version: 1, asks: true}
	w.procs[1] = caller{up: true, version: 1, asks: true}
	if a.back { // the first process knows nothing of it
		w.twin = twin{digest: 2, epoch: 3, given: 3, rev: 2, timing: 1, known: true}
		w.procs[0] = caller{up: true, version: 1, number: 1, owns: true, entered: true}
		w.procs[1].number = 2
	}
	m.add(w, w)
	for deep := false; len(m.todo) > 0 && len(m.seen) < limit && m.fault == ""; deep = !deep {
		if last := len(m.todo) - 1; deep { // short and long sequences of events
			m.at, m.todo = m.todo[last], m.todo[:last]
		} else {
			m.at, m.todo = m.todo[0], m.todo[1:]
		}
		m.steps(m.at)
	}
	return m
}

func (m *model) add(from, w world) {
	if _, again := m.seen[w]; again || m.fault != "" {
		return
	}
	m.seen[w] = struct{}{}
	m.from[w] = from
	m.judge(&w)
	m.todo = append(m.todo, w)
}

// blame notes a fault.
func (m *model) blame(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

// steps adds all states that a state leads to.
func (m *model) steps(w world) {
	if w.now <= lastSlot {
		next := w
		next.now++
		next.paused[min(next.now, lastSlot)] = next.paused[min(next.now, lastSlot)] ||
			next.now <= lastSlot && w.twin.paused
		m.add(w, next)
	}
	for i := range w.calls {
		m.call(w, i)
	}
	for i := range w.procs {
		m.proc(w, i)
	}
	m.others(w)
}

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

// proc lets a process send its next call, or crash.
func (m *model) proc(w world, i int) {
	p := w.procs[i]
	if !p.up {
		return
	}
	if w.budget.crashes > 0 {
		next := w
		next.budget.crashes--
		for k := range next.calls {
			if c := &next.calls[k]; c.kind != 0 && c.from == int8(i) {
				if c.from = -1; c.done {
					*c = request{}
				}
			}
		}
		next.procs[i] = caller{up: true, version: p.version, asks: true} // it starts again
		if i == 2 {                                                      // the new version is taken back
			next.procs[i] = caller{}
		}
		m.add(w, next)
	}
	if p.busy > 0 {
		return
	}
	if p.push > 0 { // the second step
		next := w
		next.procs[i].push = 0
		m.push(&next, &request{slot: p.push - 1})
		m.add(w, next)
		return
	}
	for _, c := range m.wants(&w, p) {
		m.send(w, i, c)
	}
}

// wants lists the calls that a process may make now. It may ask again at any time.
func (m *model) wants(w *world, p caller) (list []request) {
	own := request{kind: 'o', version: p.version, number: p.number}
	switch {
	case p.asks || !p.owns:
		return []request{own}
	case !p.entered:
		return []request{{kind: 'e', version: p.version}}
	}
	if int64(w.now) > w.seen {
		list = append(list, own)
	}
	now := time.Unix(int64(w.now), 0)
	if w.budget.fasts > 0 { // its clock is a second fast
		now = now.Add(time.Second)
	}
	last := time.Unix(int64(p.last), 0)
	if slots := due(seconds{}, last, now, All); len(slots) > 0 {
		slot := slots[0]
		if m.d.jumps {
			slot = slots[len(slots)-1]
		}
		list = append(list, request{kind: 'c', version: p.version, slot: int8(slot.Unix())})
	}
	return list
}

func (m *model) send(w world, i int, c request) {
	for k := range w.calls {
		if w.calls[k].kind == 0 {
			c.from = int8(i)
			w2 := w
			w2.calls[k], w2.procs[i].busy = c, int8(k+1)
			m.add(w, w2)
			return
		}
	}
}

// others lets a person, Ruby, a deploy and the jobs do something.
func (m *model) others(w world) {
	if w.budget.deploys > 0 {
		next := w
		next.budget.deploys--
		next.procs[2] = caller{up: true, version: 2, asks: true}
		m.add(w, next)
	}
	if w.budget.pauses > 0 && w.known {
		next := w
		next.budget.pauses--
		pause := !w.twin.paused
		if next.control(m.d, int64(w.now), pause); !pause {
			for slot := w.ours; slot <= min(w.now, lastSlot); slot++ {
				next.over[slot] = true // slots of the pause are not made up for
				next.paused[slot] = next.paused[slot] || next.pushed[slot] == 0
			}
		}
		m.add(w, next)
	}
	m.rubyFires(w)
	for slot := range w.alive {
		if w.alive[slot] && w.budget.lock {
			next := w
			next.alive[slot], next.ended[slot] = false, true
			next.release(m.d, int64(slot))
			m.add(w, next)
		}
		if w.ended[slot] && w.budget.ends > 0 { // a person deletes the dead job later
			next := w
			next.budget.ends--
			next.release(m.d, int64(slot))
			m.add(w, next)
		}
	}
}

// rubyFires lets the gem claim the present slot and then push it.
func (m *model) rubyFires(w world) {
	if slot := w.now; w.budget.rubies > 0 && slot >= 1 && slot <= lastSlot && w.ruby == 0 &&
		w.twin.ruby>>slot&1 == 0 {
		next := w
		next.budget.rubies--
		next.twin.ruby |= 1 << slot
		next.ruby = slot + 1
		next.over[slot] = true
		m.add(w, next)
	}
	if w.ruby > 0 {
		next := w
		next.pushed[w.ruby-1]++
		next.ruby = 0
		m.add(w, next)
	}
}

// judge looks for slots that were pushed twice, and for slots that nobody will push.
func (m *model) judge(w *world) {
	for slot, n := range w.pushed {
		if n > 1 {
			m.blame("the slot %d is pushed %d times", slot, n)
		}
	}
	if w.now > lastSlot && m.fault == "" {
		m.finish(*w)
	}
}

// finish lets everything that is under way end well, and the processes work in turn. Then each slot
// since the entry began must have been pushed, or skipped for a reason.
func (m *model) finish(w world) {
	quiet := &model{d: m.d, seen: map[world]struct{}{}, from: map[world]world{}}
	for range 60 {
		for i := range w.calls {
			if w.calls[i].kind != 0 && !w.calls[i].done {
				quiet.carryOut(&w, i)
			}
			if w.calls[i].kind != 0 {
				quiet.receive(&w, i)
			}
		}
		w.now++
		for i := range w.procs {
			p := w.procs[i]
			if !p.up || p.busy > 0 || p.push > 0 {
				continue
			}
			if list := quiet.wants(&w, p); len(list) > 0 {
				c := list[len(list)-1]
				c.from = int8(i)
				w.calls[i], w.procs[i].busy = c, int8(i+1)
			}
		}
	}
	for slot := w.ours + 1; w.known && slot <= lastSlot; slot++ {
		if w.pushed[slot] == 0 && !w.over[slot] && !w.procs[0].pushes(slot) &&
			!w.procs[1].pushes(slot) && !w.procs[2].pushes(slot) {
			m.blame("nobody pushes the slot %d", slot)
		}
	}
}

func (p caller) pushes(slot int8) bool { return p.push == slot+1 }

// story lists the calls and the clock on the way to the fault.
func (m *model) story() string {
	w := m.at
	var lines []string
	for len(lines) < 60 {
		lines = append(lines, fmt.Sprintf("at %d: last %d of version %d, pushed %v, calls %+v",
			w.now, w.last, w.digest, w.pushed[1:], w.calls))
		if before := m.from[w]; before != w {
			w = before
			continue
		}
		break
	}
	return m.fault + "\n" + strings.Join(lines, "\n")
}
