package model

import (
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
)

// runnable returns a lane whose next job may run, or -1.
func (l *Lanes) runnable() int8 {
	for lane := range int8(laneCount) {
		free := lane == 0 || l.Max == 0 || l.Busy[lane] < l.Max
		if l.On && len(l.Parked[lane]) > 0 && !l.wait.has(lane) && free && l.room() {
			return lane
		}
	}
	return -1
}

// overtakes looks for a job that a fetch or a doorbell took, while one of the queue before could
// run: it was in a lane, or in no lane yet.
func (x *search) overtakes(n *next, c *call) {
	if len(c.fetch.Sources) == 0 || !n.redis.lanes.On {
		return
	}
	for _, t := range c.fetched.Jobs {
		l := &n.redis.lanes
		if t.Queue != laneQueue && (len(n.redis.lists[laneQueue])+len(l.Arrived) > 0 ||
			l.runnable() >= 0) {
			n.is(overtaken, "job %d is taken, and one of a queue before it may run", t.Job.ID)
		}
	}
}

// arrives notes that a job was pushed, if it has a lane.
func (p *past) arrives(j Job) {
	if j.Lane == 0 {
		return
	}
	last := uint8(0)
	for _, at := range p.order {
		last = max(last, at)
	}
	p.order[j.ID] = last + 1
}

// starts judges the first start of a job with a lane: the jobs of a lane start in the order in
// which they were pushed. It is not promised while lanes are turned off and on.
func (n *next) starts(j Job) {
	if j.Lane == 0 || n.past.first[j.ID] > 0 {
		return
	}
	n.past.first[j.ID] = 1
	if !n.redis.lanes.On || n.redis.lanes.Rev != 1 {
		return
	}
	for id, at := range n.past.order {
		same := laneOf(n.redis, int8(id)) == j.Lane
		if at > 0 && at < n.past.order[j.ID] && n.past.first[id] == 0 && same {
			n.is(disordered, "job %d starts before job %d", j.ID, id)
		}
	}
}

// laneOf returns the lane of a job that is parked, in flight, in the list, or where doorbells put
// it, else -1. An earlier job of a lane that has not started is in one of these places.
func laneOf(r *server, id int8) int8 {
	lists := append([][]Job{r.lanes.Arrived, r.lists[laneQueue]}, r.lanes.Parked[:]...)
	for _, list := range lists {
		for _, j := range list {
			if j.ID == id {
				return j.Lane
			}
		}
	}
	for _, hash := range r.flight {
		for _, h := range hash {
			if h.Job.ID == id {
				return h.Job.Lane
			}
		}
	}
	return -1
}

// judgeLanes looks for a violation by the lanes of a state.
func (x *search) judgeLanes(w *world) (violation, string) {
	if !x.Lanes {
		return fine, ""
	}
	l := &w.redis.lanes
	if !l.On && x.ForgetArrived && len(l.Arrived) > 0 && l.parked() == 0 &&
		!w.gathers() {
		return stranded, "a doorbell took a job, and lanes are off"
	}
	if v, why := x.judgePlaces(w); v != fine {
		return v, why
	}
	for lane := range int8(laneCount) {
		in := 0
		for _, set := range []*ranks{&l.ready, &l.full, &l.wait} {
			if set.has(lane) {
				in++
			}
		}
		parked := len(l.Parked[lane])
		switch {
		case parked > 0 && in != 1, parked == 0 && in > 0 && !l.wait.has(lane):
			return unlisted, fmt.Sprintf("lane %d has %d jobs and is in %d sets", lane, parked, in)
		case l.full.has(lane) && l.Busy[lane] < l.Max:
			return unlisted, fmt.Sprintf("lane %d waits, and %d of its jobs run", lane,
				l.Busy[lane])
		}
	}
	return x.judgeSleep(w)
}

// judgePlaces compares the places in lanes with the deliveries in flight.
func (x *search) judgePlaces(w *world) (violation, string) {
	l := &w.redis.lanes
	var busy [laneCount]int
	for _, p := range l.Places {
		busy[p.Lane]++
		if !slices.ContainsFunc(w.redis.flight[w.redis.at(p.Identity, laneQueue)],
			func(h Held) bool { return h.Token == p.Token && h.Job.Lane == p.Lane }) {
			return leaked, fmt.Sprintf("token %d of identity %d is not in flight", p.Token,
				p.Identity)
		}
	}
	for lane, n := range l.Busy {
		switch {
		case n != busy[lane]:
			return leaked, fmt.Sprintf("lane %d counts %d jobs, and %d run", lane, n, busy[lane])
		case lane != 0 && n > l.Max:
			return overfull, fmt.Sprintf("%d jobs of lane %d run", n, lane)
		}
	}
	flying := 0
	for id := range identities {
		flying += len(w.redis.flight[w.redis.at(id, laneQueue)])
	}
	if x.Drains == 0 && flying != len(l.Places) {
		return leaked, fmt.Sprintf("%d jobs are in flight, and %d have places", flying,
			len(l.Places))
	}
	return fine, ""
}

// gathers reports whether a process will look at the jobs that doorbells took.
func (w *world) gathers() bool {
	for _, p := range w.proc {
		for i := range p.calls {
			if c := &p.calls[i]; p.up && (c.kind == arrive || c.kind == page || c.kind == sift ||
				c.kind == trip && len(c.fetch.Sources) > 0) {
				return true
			}
		}
		if p.up && p.rev >= 0 {
			return true
		}
	}
	return false
}

// judgeSleep reports whether a job may run, a process has a free seat, and no event follows but
// the end of a job that runs. After a fault a process may find the job only when it refreshes its
// source, which is once a second.
func (x *search) judgeSleep(w *world) (violation, string) {
	l := &w.redis.lanes
	now := l.runnable() >= 0 || len(l.Arrived) > 0
	if x.NoBells || len(w.redis.late) > 0 || !now && !l.due() {
		return fine, ""
	}
	if found := l.mayHave() || l.due() && !x.ForgetClosed; found && (!now || x.hadFault(w)) {
		return fine, ""
	}
	sleeper := -1
	for i, p := range w.proc {
		if !p.up {
			continue
		}
		if !p.held || !x.waitsFor(w, p) || p.opens && l.due() {
			return fine, ""
		}
		if k := p.ledgers[0]; p.stop == working && k.Asleep(0) && k.Free(0) > 0 {
			sleeper = i
		}
	}
	if sleeper < 0 {
		return fine, ""
	}
	return slept, fmt.Sprintf("p%d has a free seat", sleeper)
}

// hadFault reports whether something happened that can lose the ring of a doorbell.
func (x *search) hadFault(w *world) bool {
	b, a := &w.past.Budget, &x.Budget
	return b.Lost != a.Lost || b.Lapses != a.Lapses || b.Crashes != a.Crashes ||
		b.Restarts != a.Restarts || b.Drains != a.Drains
}

// waitsFor reports whether a process waits for a doorbell or a handler, and for nothing else.
func (x *search) waitsFor(w *world, p *proc) bool {
	for i := range p.calls {
		if c := &p.calls[i]; !c.isBell() || c.stage != sent || c.asked || w.redis.can(c.command) {
			return false
		}
	}
	if p.stop > quiet || p.sifts() || slices.ContainsFunc(p.runs, func(r run) bool {
		return r.phase != runs
	}) {
		return false
	}
	return !slices.ContainsFunc(p.clone().ledgers, func(l *protocol.Process) bool {
		hang, unhang := l.Bells(true)
		return len(hang)+len(unhang) > 0 || l.Due(0, x.Limit) || l.Waiting(0) || l.Unsettled(0) > 0
	})
}
