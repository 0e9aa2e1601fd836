package model

import (
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// tau is how old figures may be when a job of a lower queue is taken.
const tau = time.Millisecond

// runOf adds what can become of a job in a thread.
func (x *shardSearch) runOf(w *shardWorld, at int) {
	r := w.runs[at]
	change := func(event string, fn func(c *shardWorld, p *protocol.Process, e *protocol.Entry)) {
		c := x.clone(w)
		p := c.sites[r.site].process
		for _, e := range p.Running() {
			if e.Token == r.token && idOf(e.Owner) == r.id {
				fn(c, p, e)
				x.add(c, event, r.site, r.job.ID)
				return
			}
		}
		c.is(knownTwice, "job %d runs, and is not in the ledger", r.job.ID)
		x.add(c, event)
	}
	finish := func(c *shardWorld, p *protocol.Process, e *protocol.Entry, s *queue.Settlement) {
		if r.phase == waits {
			p.Leave()
		}
		p.Open(e)
		p.Finish(e, s)
		c.runs = slices.Delete(c.runs, at, at+1)
	}
	if x.interrupted(w, &r) {
		change("a job is put back: shard, job", func(c *shardWorld, p *protocol.Process,
			e *protocol.Entry) {
			if s := w.sites[r.site]; s.held && r.id == s.life && w.stop < ended {
				c.is(unheld, "job %d of shard %d is put back, whose lease holds", r.job.ID, r.site)
			}
			finish(c, p, e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Requeue})
		})
	}
	inside := w.sites[r.site].process.Inside()
	switch {
	case r.phase == runs || r.phase == alone:
		change("a job ends: shard, job", func(c *shardWorld, p *protocol.Process,
			e *protocol.Entry) {
			finish(c, p, e, nil)
		})
	case r.phase == waits && inside == nil:
		change("a suspect closes the gate: shard, job", func(c *shardWorld, p *protocol.Process,
			e *protocol.Entry) {
			p.Enter(e)
			c.runs[at].phase = entered
		})
	case r.phase == entered && w.sites[r.site].process.Alone(inside):
		change("a suspect is alone: shard, job", func(c *shardWorld, _ *protocol.Process,
			_ *protocol.Entry) {
			c.runs[at].phase = alone
		})
	}
	if (r.phase == entered || r.phase == alone) && w.budget.Besides > 0 {
		change("the gate opens: shard, job", func(c *shardWorld, p *protocol.Process,
			e *protocol.Entry) {
			c.budget.Besides--
			p.Open(e)
			c.runs[at].phase = runs
		})
	}
}

// interrupted reports whether the context of a run has ended.
func (x *shardSearch) interrupted(w *shardWorld, r *shardRun) bool {
	for i, s := range w.sites {
		if (i == r.site || x.LoseAll) && (!s.held || r.id != s.life) {
			return true
		}
	}
	return w.stop >= ended
}

// keepsPromise judges a trip that may take jobs from the first queues, when it begins: the process
// has figures of all shards that answer, which say that the higher queues were empty.
//
// They are not too old either while only jobs of the first queue are taken. One that a doorbell has
// brought is taken at once.
func (x *shardSearch) keepsPromise(w *shardWorld, to, queues int, rang bool) {
	if x.Random {
		return
	}
	var slowest time.Duration
	for i, s := range w.sites {
		if !w.looks.Out(i) {
			slowest = max(slowest, s.seen.took)
		}
	}
	for i, s := range w.sites {
		if i == to || w.looks.Out(i) || !s.held || s.left {
			continue
		}
		age := w.now - s.seen.asked
		if queues == 1 {
			if !rang && !s.looks() && (!s.seen.known || age > 20*time.Millisecond+slowest) {
				w.is(slept, "jobs of shard %d are taken, and nobody looks at shard %d", to, i)
			}
			continue
		}
		if !s.seen.known || age > tau+slowest {
			w.is(overtaken, "a job of queue %d is taken by figures that are %v old", queues-1, age)
		}
		for q := range queues - 1 {
			if s.process.Takes(0, q) && (s.seen.holds[q] || s.process.MayHaveLanded(q) ||
				s.adopts(q)) {
				w.is(overtaken, "a job of queue %d of shard %d is taken, and shard %d was seen "+
					"with one of queue %d", queues-1, to, i, q)
			}
		}
	}
}

// looks reports whether figures are on their way.
func (s *site) looks() bool { return s.awaits(look) || s.awaits(trip) }

// judge looks for a violation in a state.
func (x *shardSearch) judge(w *shardWorld) {
	for j, job := range x.Jobs {
		n := 0
		for i, s := range w.sites {
			in := s.count(int8(j))
			if n += in; in > 0 && i != job.Shard {
				w.is(doubled, "job %d is in shard %d", j, i)
			}
		}
		switch gone := w.done[j] || !w.pushed[j]; {
		case n > 1 || n == 1 && gone:
			w.is(doubled, "job %d is in %d places, done %t", j, n, w.done[j])
		case n == 0 && !gone:
			w.is(lost, "job %d", j)
		}
	}
	busy := 0
	for i, s := range w.sites {
		busy += s.process.Busy(0)
		if n := s.process.Taken(0); n > x.Seats {
			w.is(crowded, "shard %d has %d deliveries", i, n)
		}
	}
	if busy > x.Seats {
		w.is(crowded, "%d jobs have a thread or wait for one", busy)
	}
	x.judgeAlone(w)
	if i := x.ignores(w); i >= 0 {
		w.is(ignored, "shard %d", i)
	}
}

func (s *site) count(id int8) (n int) {
	for _, list := range s.lists {
		n += count(list, id)
	}
	for at := range s.flight {
		n += count(s.landing[at], id)
		for _, h := range s.flight[at] {
			if h.Job.ID == id {
				n++
			}
		}
	}
	return n
}

// judgeAlone checks that nothing runs beside a suspect that is alone.
func (x *shardSearch) judgeAlone(w *shardWorld) {
	for _, a := range w.runs {
		for _, b := range w.runs {
			if a.phase == alone && a != b && b.phase != waits {
				w.is(blamed, "job %d is alone, and job %d runs", a.job.ID, b.job.ID)
			}
		}
	}
}

// ignores returns a shard whose jobs may run while a thread is free and nothing is due, or -1.
func (x *shardSearch) ignores(w *shardWorld) int {
	if w.stop > working {
		return -1
	}
	busy := len(w.runs)
	for _, s := range w.sites {
		busy += s.process.Busy(0) - len(s.process.Running())
		if s.process.Inside() != nil || s.process.Audit() ||
			!s.silent && (s.rings() || s.moves()) ||
			s.next+2*uint64(x.Limit)+2*shardQueues > x.Tokens {
			return -1
		}
	}
	if late := w.looks.Late(w.clock()); busy >= x.Seats || late > 0 && late <= protocol.Silent {
		return -1
	}
	for i, s := range w.sites {
		if !s.silent && s.held && s.owners[s.life].Lease > 0 && s.work() && !x.due(w) {
			return i
		}
	}
	return -1
}

// moves reports whether something is under way or due in a shard, besides doorbells and round trips
// that are decided together.
func (s *site) moves() bool {
	return s.process.Waiting(0) || s.process.Unsettled(0) > 0 || s.process.Sending(0) > 0 ||
		s.unknown() || slices.ContainsFunc(s.calls, func(c shardCall) bool {
		return c.kind != bell || c.stage != sent || c.asked
	})
}

// work reports whether a shard holds a job that this process may run.
func (s *site) work() bool {
	for q, list := range s.lists {
		open := !s.Twin.paused[q] && s.process.Takes(0, q)
		if open && len(list)+len(s.landing[s.at(s.life, q)]) > 0 {
			return true
		}
	}
	return false
}

// rings reports whether a doorbell hangs on a queue that holds a job.
func (s *site) rings() bool {
	return slices.ContainsFunc(s.calls, func(c shardCall) bool {
		return c.kind == bell && len(s.lists[c.queue]) > 0
	})
}

// due reports whether a loop has something to do.
func (x *shardSearch) due(w *shardWorld) bool {
	c := x.clone(w)
	if x.act(c) {
		return true
	}
	for i := range c.sites {
		if x.bells(c, i) {
			return true
		}
	}
	return false
}
