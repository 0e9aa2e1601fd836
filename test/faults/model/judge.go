package model

import (
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
)

// judge looks for a violation in a state.
func (x *search) judge(w *world) (violation, string) {
	for i, p := range w.proc {
		if p.wrong != fine {
			return p.wrong, fmt.Sprintf("in the memory of p%d", i)
		}
	}
	for j := range int8(jobs) {
		if v, why := x.judgeJob(w, j); v != fine {
			return v, fmt.Sprintf("job %d %s", j, why)
		}
	}
	if v, why := x.judgeLocks(w); v != fine {
		return v, why
	}
	if v, why := x.judgeLanes(w); v != fine {
		return v, why
	}
	for i := range w.proc {
		if w.marksOneOfMany(i) {
			return blamed, fmt.Sprintf("p%d: a job is marked as alone, and another runs", i)
		}
		if x.ignores(w, i) {
			return ignored, fmt.Sprintf("p%d", i)
		}
	}
	return fine, ""
}

// marksOneOfMany reports whether Redis has a job marked as alone while another runs. Then a crash
// could be counted for the wrong job.
func (w *world) marksOneOfMany(i int) bool {
	p := w.proc[i]
	id := i*lives + p.life
	marked := w.redis.owners[id].Alone
	for _, r := range p.runs {
		if marked != 0 && r.id == id && r.token != marked && r.phase == runs {
			return true
		}
	}
	return false
}

func count(list []Job, id int8) (n int) {
	for _, j := range list {
		if j.ID == id {
			n++
		}
	}
	return n
}

func (x *search) judgeJob(w *world, id int8) (violation, string) {
	r := w.redis
	places, dead := count(r.retry, id)+count(r.schedule, id), count(r.dead, id)
	for _, l := range r.lists {
		places += count(l, id)
	}
	for _, l := range r.lanes.Parked {
		places += count(l, id)
	}
	places += count(r.lanes.Arrived, id)
	for at, l := range r.landing {
		if n := count(l, id); n > 0 {
			places += n
			if !x.landedIsSeen(w, at/queues, at%queues) {
				return stranded, "in a landing list"
			}
		}
	}
	for at, hash := range r.flight {
		for _, h := range hash {
			if h.Job.ID != id {
				continue
			}
			places++
			if !x.heldIsSeen(w, at/queues, h.Token) {
				return stranded, "in flight"
			}
		}
	}
	for _, p := range w.proc { // between two commands
		places += count(p.kept, id)
		for i := range p.calls {
			places += count(p.calls[i].kept, id)
		}
	}
	over := w.past.ended[id] || dead > 0
	switch {
	case !w.past.pushed[id]:
		return fine, ""
	case !over && places == 0:
		return lost, ""
	case !over && places > 1:
		return doubled, ""
	case over && places+dead > 1, over && places > 0, w.past.ended[id] && dead > 0:
		return twice, "has ended, and is still in a place"
	}
	return fine, ""
}

// process returns the process of an identity, and whether that is its present identity.
func (w *world) process(id int) (p *proc, current bool) {
	p = w.proc[id/lives]
	return p, p.up && p.life == id%lives
}

// heldIsSeen reports whether a process will handle a delivery: a reclaimer, its owner if that knows
// of it, or an audit.
func (x *search) heldIsSeen(w *world, id int, token uint64) bool {
	p, current := w.process(id)
	lease := w.redis.owners[id].Lease
	if lease < 0 || lease > 0 && (!current || p.stop >= ended) {
		return !x.NoReclaim
	}
	return lease > 0 && (!x.NoAudit || p.knows(id, token))
}

// knows reports whether the ledger of a process has a delivery, or expects it from a trip.
func (p *proc) knows(id int, token uint64) (yes bool) {
	for _, l := range p.ledgers {
		l.Each(func(e *protocol.Entry) { yes = yes || e.Token == token && idOf(e.Owner) == id })
		yes = yes || l.MayBring(owners[id], token)
	}
	return yes
}

// landedIsSeen reports whether a process will handle the jobs of a landing list.
func (x *search) landedIsSeen(w *world, id, q int) bool {
	p, current := w.process(id)
	lease := w.redis.owners[id].Lease
	if lease < 0 || lease > 0 && (!current || p.stop >= ended) {
		return !x.NoReclaim && !x.NoLandingRec
	}
	if lease == 0 {
		return false
	}
	for i := range p.calls {
		c := &p.calls[i]
		if c.kind == bell && c.stage < done && c.queue == q && c.id == id || c.kind == trip &&
			c.stage == sent {
			return true
		}
	}
	for _, l := range p.ledgers {
		if l.MayHaveLanded(q) {
			return true
		}
	}
	return !x.NoAudit
}

// memory looks for a violation in the memory of a process.
func (x *search) memory(p *proc) violation {
	seen := map[[2]uint64]bool{}
	double := false
	for _, l := range p.ledgers {
		l.Each(func(e *protocol.Entry) {
			k := [2]uint64{uint64(idOf(e.Owner)), e.Token}
			double = double || seen[k]
			seen[k] = true
		})
	}
	if double {
		return knownTwice
	}
	for i, c := range x.Capsules {
		l, ci := p.ledger(i)
		if p.up && l.Taken(ci) > c.Seats+p.found {
			return crowded
		}
		for _, f := range c.Floors {
			if p.up && f.Max > 0 && l.RunningOf(ci, f.Name) > f.Max {
				return unbounded
			}
		}
	}
	return fine
}

// ledger returns the ledger of a capsule, and the capsule's index in it.
func (p *proc) ledger(capsule int) (l *protocol.Process, ci int) {
	switch {
	case !p.up:
		return nil, 0
	case len(p.ledgers) > 1:
		return p.ledgers[capsule], 0
	}
	return p.ledgers[0], capsule
}

// ignores reports whether a job waits, and an idle process neither fetches nor hangs a doorbell.
func (x *search) ignores(w *world, i int) bool {
	p := w.proc[i]
	if x.NoBells || !p.up || !p.held || p.stop != working || len(p.calls)+len(p.runs) > 0 {
		return false
	}
	for _, l := range p.ledgers {
		if !l.Settled() || l.Inside() != nil {
			return false
		}
	}
	for q := range queues {
		if len(w.redis.lists[q]) > 0 && !x.listens(p, q) && !p.sifts() {
			return true
		}
	}
	return false
}

// listens reports whether an idle process fetches from a queue, or hangs a doorbell on it.
func (x *search) listens(p *proc, q int) bool {
	c := p.clone()
	for _, l := range c.ledgers {
		hang, _ := l.Bells(true)
		for _, t := range hang {
			if t.Adopt[0] == q {
				return true
			}
		}
	}
	for i, capsule := range x.Capsules {
		l, ci := c.ledger(i)
		if _, ok := l.Begin(ci, true, x.Limit); ok {
			for _, s := range capsule.Queues {
				if s == q {
					return true
				}
			}
		}
	}
	return false
}

// judgeLocks looks for a violation by a lock: two holders, a holder that is not where it may hold
// the lock, a job without its lock, or two runs at once.
func (x *search) judgeLocks(w *world) (violation, string) {
	for at, holders := range w.redis.locks {
		if len(holders) > 1 {
			return common, fmt.Sprintf("jobs %v hold lock %d", holders, at)
		}
		for _, id := range holders {
			may := w.redis.flying(id) || w.redis.waits(id) && (at == waitLock ||
				w.past.abandoned[id])
			if !may {
				return orphaned, fmt.Sprintf("job %d holds lock %d", id, at)
			}
		}
	}
	for id := range int8(jobs) {
		must := x.Lock[id] == UntilDone || x.Lock[id] > NoLock && x.Lock[id] != WhileRunning &&
			!w.past.begun[id]
		if must && (w.redis.flying(id) || w.redis.waits(id)) &&
			!slices.Contains(w.redis.locks[waitLock], id) {
			return unlocked, fmt.Sprintf("job %d is in Redis", id)
		}
	}
	return x.judgeRuns(w)
}

// judgeRuns judges the runs of jobs that hold a lock while they run. It is not judged if a run
// overlaps one in a process that has lost its lease: that is not promised.
func (x *search) judgeRuns(w *world) (violation, string) {
	n := 0
	for i, p := range w.proc {
		for _, r := range p.runs {
			if !r.job.Lock.runs() || r.phase != runs || x.interrupted(p, &r) {
				continue
			}
			n++
			if !slices.Contains(w.redis.locks[runLock], r.job.ID) {
				return unlocked, fmt.Sprintf("job %d runs in p%d", r.job.ID, i)
			}
		}
	}
	if n > 1 {
		return overlapped, fmt.Sprintf("%d jobs run at once", n)
	}
	return fine, ""
}

// flying reports whether a job is in flight.
func (r *server) flying(id int8) bool {
	return slices.ContainsFunc(r.flight, func(hash []Held) bool {
		return slices.ContainsFunc(hash, func(h Held) bool { return h.Job.ID == id })
	})
}

// waits reports whether a job is in a queue, a landing list, the retry set or the schedule set.
func (r *server) waits(id int8) bool {
	in := func(list []Job) bool { return count(list, id) > 0 }
	return slices.ContainsFunc(r.lists, in) || slices.ContainsFunc(r.landing, in) || in(r.retry) ||
		in(r.schedule)
}
