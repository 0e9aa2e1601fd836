package model

import (
	"fmt"

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
		if len(w.redis.lists[q]) > 0 && !x.listens(p, q) {
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
