package model

import (
	"fmt"

	"github.com/kyujobs/kyu/internal/protocol"
)

// judge looks for what must not be in a state.
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
	for i := range w.proc {
		if w.marksOneOfMany(i) {
			return innocent, fmt.Sprintf("p%d: a job is marked as alone, and another runs", i)
		}
		if x.isDeaf(w, i) {
			return deaf, fmt.Sprintf("p%d", i)
		}
	}
	return fine, ""
}

// marksOneOfMany reports whether Redis would blame one job for a crash, and others run.
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
	places, dead := count(r.retry, id), count(r.dead, id)
	for _, l := range r.lists {
		places += count(l, id)
	}
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
	for _, p := range w.proc { // designs that need two commands
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
		return twice, "is over, and still there"
	}
	return fine, ""
}

// lives of an identity: who it is of, and whether it is the one that it has now.
func (w *world) process(id int) (p *proc, current bool) {
	p = w.proc[id/lives]
	return p, p.up && p.life == id%lives
}

// heldIsSeen reports whether somebody will do something about a delivery: a reclaimer, its
// owner, who knows of it, or an audit.
func (x *search) heldIsSeen(w *world, id int, token uint64) bool {
	p, current := w.process(id)
	lease := w.redis.owners[id].Lease
	if lease < 0 || lease > 0 && (!current || p.stop >= ended) {
		return !x.NoReclaim
	}
	return lease > 0 && (!x.NoAudit || p.knows(id, token))
}

func (p *proc) knows(id int, token uint64) (yes bool) {
	for _, l := range p.ledgers {
		l.Each(func(e *protocol.Entry) { yes = yes || e.Token == token && idOf(e.Owner) == id })
		yes = yes || l.MayBring(owners[id], token)
	}
	return yes
}

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

// memory looks for what must not be in the memory of a process.
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
		return known2
	}
	for i, c := range x.Capsules {
		l, ci := p.ledger(i)
		if p.up && l.Taken(ci) > c.Seats+p.found {
			return crowded
		}
	}
	return fine
}

// ledger is where a capsule is accounted for.
func (p *proc) ledger(capsule int) (l *protocol.Process, ci int) {
	switch {
	case !p.up:
		return nil, 0
	case len(p.ledgers) > 1:
		return p.ledgers[capsule], 0
	}
	return p.ledgers[0], capsule
}

// isDeaf reports whether a process that has nothing to do does nothing about jobs that wait.
func (x *search) isDeaf(w *world, i int) bool {
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
		if len(w.redis.lists[q]) > 0 && !x.listens(p, q) {
			return true
		}
	}
	return false
}

// listens reports whether an idle process goes for the jobs of a queue, or hangs a doorbell.
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
