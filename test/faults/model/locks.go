package model

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// push adds the push of a job, and of some designs what a push does before or after.
func (x *search) push(w *world, id int) {
	j := x.job(id)
	q, e := int(x.Queue[id]), event{pushes, 0, uint8(id), 0}
	n := &next{world: *w}
	switch {
	case w.past.pushed[id]:
		x.pushAgain(w, j)
		return
	case x.LockThenPush && !w.past.taken[id] && len(j.pushClaims()) > 0:
		if !n.r().claim(j.pushClaims()) {
			return
		}
		n.past.taken[id], e.what = true, locks
	case len(n.r().PushClaiming(q, j)) == 0:
		return // another job has the lock
	default:
		n.past.pushed[id] = true
		n.past.arrives(j)
	}
	x.add(n, e)
}

// job returns a job as it is pushed.
func (x *search) job(id int) Job {
	return Job{ID: int8(id), Crashes: x.Crashed[id], Lock: x.Lock[id], Lane: x.Lane[id]}
}

// pushAgain repeats a push whose reply was lost. The job is not pushed again, because its marker is
// there.
func (x *search) pushAgain(w *world, j Job) {
	if w.past.Repeats == 0 {
		return
	}
	n := &next{world: *w}
	n.past.Repeats--
	if x.MarkerLast {
		n.r().claim(j.pushClaims())
	}
	x.add(n, event{pushesAgain, 0, uint8(j.ID), 0})
}

// delete adds the deletion of a job by hand: from its queue, or from a set.
func (x *search) delete(w *world, id int8) {
	if w.past.Deletes == 0 {
		return
	}
	for _, k := range []Key{{Kind: listKey, A: int(x.Queue[id])}, {Kind: retryKey},
		{Kind: scheduleKey}} {
		if count(*w.redis.jobsAt(k), id) == 0 {
			continue
		}
		n := &next{world: *w}
		n.past.Deletes--
		n.past.ended[id] = true
		n.r().Drop(k, id, false)
		x.add(n, event{deletes, 0, uint8(id), uint8(k.Kind)})
	}
}

// ask adds what can become of a job that has a thread and must make its claims. A process may also
// ask when it has lost its lease: it does not know that yet.
func (x *search) ask(w *world, i, at int) {
	p := w.proc[i]
	r := p.runs[at]
	n := &next{world: *w}
	_, d := n.p(i).entry(&r)
	m := &command{kind: claim, id: r.id, ledger: r.ledger, queue: queueOf(d.Queue), token: r.token,
		job: r.job}
	n.p(i).calls = append(n.p(i).calls, call{command: m.seal()})
	n.p(i).runs[at].phase = asking
	x.add(n, event{claims, uint8(i), uint8(at), 0})
	if x.interrupted(p, &r) {
		x.conclude(w, event{putsBack, uint8(i), uint8(at), 0}, queue.Requeue, r.job)
	}
}

// claimed handles the answer to ask, or that the answer is lost: then the job asks again.
func (x *search) claimed(n *next, i int, c *call, answered bool) {
	p := n.p(i)
	at := slices.IndexFunc(p.runs, func(r run) bool { return r.id == c.id && r.token == c.token })
	r := &p.runs[at]
	switch {
	case !answered:
		r.phase = asks
		return
	case c.rang, c.mine && !r.job.Lock.runs():
		r.phase = runs
		return
	}
	a := queue.Schedule // another job has the lock while it runs
	if !c.mine {
		a = queue.Requeue // another process has the job; the settlement does nothing
	}
	l, d := p.entry(r)
	l.Finish(d, x.settlementOf(n, d, a, r.job))
	p.runs = slices.Delete(p.runs, at, at+1)
}

// abandon gives a job back whose handler ignores the end of its context. The handler may run on, so
// the job keeps its runtime lock until it has run again.
func (x *search) abandon(w *world, i, at int) {
	if w.past.Abandons == 0 {
		return
	}
	n := &next{world: *w}
	p := n.p(i)
	r := &p.runs[at]
	l, d := p.entry(r)
	l.Abandon(d)
	n.past.Abandons--
	n.past.abandoned[r.job.ID] = true
	p.runs = slices.Delete(p.runs, at, at+1)
	x.add(n, event{abandons, uint8(i), uint8(at), 0})
}

// effectsOf returns changes in the form in which a ledger keeps effects.
func effectsOf(list []Change) (effects []queue.Effect) {
	for _, c := range list {
		kind := "give"
		if c.Take {
			kind = "take"
		}
		effects = append(effects, queue.Effect{Kind: kind,
			Args: []string{string(rune('0' + c.Lock)), string(rune('0' + c.Job))}})
	}
	return effects
}

// changesOf is the reverse of effectsOf.
func changesOf(effects []queue.Effect) (list []Change) {
	for _, e := range effects {
		list = append(list, Change{int8(e.Args[0][0] - '0'), int8(e.Args[1][0] - '0'),
			e.Kind == "take"})
	}
	return list
}
