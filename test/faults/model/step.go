package model

import "github.com/kyujobs/kyu/queue"

// step is a kind of event.
type step uint8

const (
	begin step = iota
	pushes
	promotes
	begins
	settles
	starts
	retries
	turnsBells
	audits
	executes
	completes
	refuses
	receives
	loses
	unblocks
	endsWell
	fails
	putsBack
	entersGate
	goesBeside
	marks
	opens
	crashes
	returns
	lapses
	beats
	fences
	reclaims
	counts
	forgets
	quiets
	endsIntake
	sweeps
	leaves
	executesLate
	dropsLate
	restartsRedis
	locks
	pushesAgain
	deletes
	claims
	abandons
	siftsLanes
	refreshes
	closesLane
	opensLane
	wakesByTime
	turnsLanes
	drainsLanes
)

var stepNames = [...]string{"begin", "push job", "promote job", "trip begins: capsule",
	"settle sent: capsule",
	"job starts: capsule", "refused results again: capsule", "bells turned: ledger",
	"audit sent: ledger",
	"Redis executes call", "Redis executes the second command of call", "Redis refuses call",
	"reply received: call", "reply lost: call", "bell unblocked: call",
	"job ends well: run", "job fails: run", "job put back: run", "gate entered: run",
	"runs beside: run",
	"marked alone: run", "opens: run", "crash", "back as a new process", "lease lapses", "beat",
	"fences identity", "reclaims identity, queue", "counts crash of identity, queue",
	"forgets identity",
	"quiet", "intake ends", "sweep sent", "leaves", "Redis executes late command",
	"late command is dropped", "Redis restarts", "lock taken for job", "push repeated: job",
	"deleted by hand: job", "claims sent: run", "handler ignores its end: run",
	"sift begins: ledger", "source refreshed",
	"job closes its lane: run", "the time of a lane comes: lane",
	"wakes for a lane that opens", "lanes turned on or off",
	"parked jobs given back"}

// step adds every state that can come after w.
func (x *search) step(w *world) {
	for j := range max(x.Jobs, 2) {
		x.push(w, j)
		x.delete(w, int8(j))
	}
	for i := range procs {
		if !w.proc[i].up {
			x.comeBack(w, i)
			continue
		}
		x.lease(w, i)
		x.work(w, i)
		x.listen(w, i)
		for c := range w.proc[i].calls {
			x.call(w, i, c)
		}
		for r := range w.proc[i].runs {
			x.run(w, i, r)
		}
		x.stopping(w, i)
		x.refresh(w, i)
		for id := range identities {
			x.handleDead(w, i, id)
		}
	}
	if i := x.anyUp(w); i >= 0 {
		x.promotion(w, i)
	}
	x.network(w)
	x.laneEvents(w)
}

// anyUp returns a process that is up, or -1.
func (x *search) anyUp(w *world) int {
	for i, p := range w.proc {
		if p.up {
			return i
		}
	}
	return -1
}

// comeBack starts a process again that has ended, under a new identity.
func (x *search) comeBack(w *world, i int) {
	if w.proc[i].life+1 >= lives {
		return
	}
	n := &next{world: *w}
	n.proc[i] = x.newProc(x.Arrangement, w.redis, w.proc[i].life+1)
	n.newP[i] = true
	x.register(n, i)
	x.add(n, event{returns, uint8(i), 0, 0})
}

// register registers the present identity of a process.
func (x *search) register(n *next, i int) {
	p := n.p(i)
	id := i*lives + p.life
	n.r().Register(id, 1)
	p.held = true
	if x.TokenPerOwner {
		p.next = 0
	}
	for _, l := range p.ledgers {
		l.Renewed(owners[id])
	}
}

// lease adds what can become of a lease and its process: silence, a beat, a new identity, a crash.
func (x *search) lease(w *world, i int) {
	p, e := w.proc[i], event{proc: uint8(i)}
	id := i*lives + p.life
	if p.held && w.past.Lapses > 0 && !x.NoGuard {
		n := &next{world: *w}
		n.past.Lapses--
		n.p(i).held = false
		e.what = lapses
		x.add(n, e)
	}
	switch gone := w.redis.owners[id].Lease <= 0; {
	case gone && p.life+1 < lives && p.stop < ended:
		n := &next{world: *w}
		n.p(i).life++
		x.register(n, i)
		e.what = beats
		x.add(n, e)
	case !gone && !p.held:
		n := &next{world: *w}
		n.p(i).held = true
		e.what = beats
		x.add(n, e)
	}
	poison := x.runsPoison(p)
	if w.past.Crashes > 0 && (!x.Poison || poison) {
		n := &next{world: *w}
		n.past.Crashes--
		n.past.otherEnded = n.past.otherEnded || !poison
		x.end(n, i)
		e.what = crashes
		x.add(n, e)
	}
}

func (x *search) runsPoison(p *proc) bool {
	for _, r := range p.runs {
		if x.Poison && r.job.ID == 0 && !r.over && (r.phase == runs || r.phase == alone ||
			r.phase == opening && r.running) {
			return true
		}
	}
	return false
}

// end ends a process at once. Redis may still carry out the commands that it has sent.
func (x *search) end(n *next, i int) {
	p := n.p(i)
	for c := range p.calls {
		x.giveUp(n, &p.calls[c])
	}
	p.up = false
}

// giveUp leaves a command without a process that waits for it.
func (x *search) giveUp(n *next, c *call) {
	r := n.r()
	switch {
	case c.stage == sent && c.kind != audit:
		r.late = append(r.late, c.command)
	case c.stage == half && c.kind == bell:
		r.late = append(r.late, c.asAnswer())
	}
}

// asAnswer returns the trip that a bell carries as a command of its own.
func (c *command) asAnswer() *command {
	e := *c
	e.kind = answer
	return e.seal()
}

// handleDead adds what a process does about an identity that is dead, or that it takes for dead.
func (x *search) handleDead(w *world, i, id int) {
	if x.NoReclaim {
		return
	}
	p, current := w.process(id)
	e := event{proc: uint8(i), a: uint8(id)}
	switch lease := w.redis.owners[id].Lease; {
	case lease > 0 && (!current || p != w.proc[i] && (!p.held || x.NoGuard && w.past.Lapses > 0)):
		n := &next{world: *w}
		n.past.otherEnded = n.past.otherEnded || current
		if current && x.NoGuard {
			n.past.Lapses--
		}
		n.r().Fence(id, lease, 1)
		e.what = fences
		x.add(n, e)
	case lease < 0:
		for q := range queues {
			x.reclaim(w, i, id, q)
		}
		x.forget(w, i, id)
	}
}

// reclaim puts one delivery of a dead identity back, and all landed jobs.
func (x *search) reclaim(w *world, i, id, q int) {
	at := id*queues + q
	held := w.redis.flight[at]
	landing := len(w.redis.landing[at])
	if len(held)+landing == 0 || x.NoLandingRec && len(held) == 0 {
		return
	}
	e := event{reclaims, uint8(i), uint8(id), uint8(q)}
	n := &next{world: *w}
	times := x.Times
	if x.CountTwice && len(held) > 0 {
		x.countAlone(w, i, id, q)
		times = 0
	}
	r := n.r()
	landed := r.landing[at]
	if x.NoLandingRec {
		r.landing[at] = nil
	}
	got := r.Reclaim(id, q, times, 1)
	if x.NoLandingRec {
		r.landing[at] = landed
	}
	if len(held) > 0 && !w.redis.owners[id].Left {
		n.past.excused[held[len(held)-1].Job.ID] = true
	}
	for _, j := range got.Counted {
		was := held[len(held)-1].Job
		if x.Times > 1 && int(was.Crashes) >= x.Times-1 && n.past.ran[j]&(1<<id) == 0 {
			n.is(blamed, "the end of identity %d was counted for job %d, which did not run there",
				id, j)
		}
		x.count(n, id, j)
	}
	for _, j := range got.Poisoned {
		if x.Poison && j != 0 && !n.past.otherEnded {
			n.is(blamed, "job %d is dead, and only job 0 ended processes", j)
		}
	}
	x.add(n, e)
}

// count notes that a crash of an identity was counted for a job.
func (x *search) count(n *next, id int, j int8) {
	if n.past.counts[j]&(1<<id) != 0 {
		n.is(counted, "the end of identity %d was counted for job %d twice",
			id, j)
	}
	if n.redis.owners[id].Left {
		n.is(counted, "the end of identity %d, which left, was counted for job %d",
			id, j)
	}
	if n.past.after[j]&(1<<id) != 0 {
		n.is(counted, "the end of identity %d was counted for job %d, which it got later",
			id, j)
	}
	n.past.counts[j] |= 1 << id
}

// countAlone is the first of two commands of a reclaimer: it counts the crash.
func (x *search) countAlone(w *world, i, id, q int) {
	n := &next{world: *w}
	held := w.redis.flight[id*queues+q]
	h := held[len(held)-1]
	h.Job.Crashes++
	n.r().put(id, q, h)
	x.count(n, id, h.Job.ID)
	x.add(n, event{counts, uint8(i), uint8(id), uint8(q)})
}

// forget drops a dead identity when none of its commands can still be under way. Only a fetch may
// come later, from a process that was suspended before it sent it: a fetch checks the lease.
func (x *search) forget(w *world, i, id int) {
	if !w.redis.empty(id) || !x.ForgetAtOnce && x.underWay(w, id) {
		return
	}
	n := &next{world: *w}
	n.r().Forget(id)
	x.add(n, event{forgets, uint8(i), uint8(id), 0})
}

func (x *search) underWay(w *world, id int) bool {
	for _, l := range w.redis.late {
		if l.id == id {
			return true
		}
	}
	for _, c := range w.proc[id/lives].calls {
		if c.id == id && c.kind != trip {
			return true
		}
	}
	return false
}

func (x *search) promotion(w *world, i int) {
	for _, j := range w.redis.retry {
		n := &next{world: *w}
		if x.PopThenPush {
			r := n.r()
			r.retry, _ = without(r.retry, j.ID)
			n.p(i).kept = with(n.p(i).kept, j)
		} else {
			n.r().Promote(queue.Retry, j.ID, int(x.Queue[j.ID]))
		}
		x.add(n, event{promotes, uint8(i), uint8(j.ID), 0})
	}
	for _, j := range w.redis.schedule {
		n := &next{world: *w}
		n.r().Promote(queue.Schedule, j.ID, int(x.Queue[j.ID]))
		x.add(n, event{promotes, uint8(i), uint8(j.ID), 2})
	}
	for _, j := range w.proc[i].kept {
		n := &next{world: *w}
		n.p(i).kept, _ = without(n.p(i).kept, j.ID)
		n.r().Push(int(x.Queue[j.ID]), j)
		x.add(n, event{promotes, uint8(i), uint8(j.ID), 1})
	}
}
