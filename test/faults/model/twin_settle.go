package model

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Settlement is an item of settle.lua.
type Settlement struct {
	ID, Queue int
	Token     uint64
	Action    queue.Action
	Payload   Job
	To        int // the queue of Forward
	Effects   []Change
	Expect    int8    // the job that the sender means; less than 0: it knows only the token
	Sourced   bool    // it may have a place in a lane
	Till      float64 // of Requeue: the instant until which its lane is closed, or 0
}

// Settle is settle.lua.
func (t *Twin) Settle(batch []Settlement) []queue.Result {
	results := make([]queue.Result, len(batch))
	for i := range batch {
		results[i] = t.settle(&batch[i])
	}
	return results
}

func (t *Twin) settle(x *Settlement) queue.Result {
	switch {
	case !t.takes(x):
		return queue.Refused
	case t.ReleaseStale:
		t.affect(x.Effects)
	}
	switch {
	case t.bad[Key{flightKey, x.ID, x.Queue}]:
		return queue.Stale
	}
	raw, ok := t.remove(x.ID, x.Queue, x.Token)
	if !ok {
		return queue.Stale
	}
	switch x.Action {
	case queue.Requeue:
		t.names[x.Queue] = true
		t.pushRight(x.Queue, raw)
	case queue.Forward:
		t.names[x.To] = true
		t.pushLeft(x.To, x.Payload)
	case queue.Retry:
		t.retry = with(t.retry, x.Payload)
	case queue.Schedule:
		t.schedule = with(t.schedule, x.Payload)
	case queue.Dead:
		t.dead = with(t.dead, x.Payload)
	case queue.Hold:
		t.hold = with(t.hold, x.Payload)
	}
	result := t.affect(x.Effects)
	if x.Sourced {
		t.leaveLane(x.ID, x.Queue, x.Token, x.Action == queue.Requeue, x.Till)
	}
	return result
}

// takes reports whether the keys of a settlement have the right types.
func (t *Twin) takes(x *Settlement) bool {
	bad := func(k kind, a int) bool { return t.bad[Key{Kind: k, A: a}] }
	switch x.Action {
	case queue.Requeue:
		return !bad(listKey, x.Queue) && !bad(queuesKey, 0)
	case queue.Forward:
		return !bad(listKey, x.To) && !bad(queuesKey, 0)
	case queue.Retry:
		return !bad(retryKey, 0)
	case queue.Schedule:
		return !bad(scheduleKey, 0)
	case queue.Dead:
		return !bad(deadKey, 0)
	case queue.Hold:
		return !bad(holdKey, 0) && !bad(heldKey, 0)
	}
	return true
}

// hopeless is the constant of package queue: a job that never ran alone is poison after so many
// times more crashes.
const hopeless = 3

// Reclaimed is the answer of Reclaim.
type Reclaimed struct {
	Landed, Requeued, Refused int
	Partly                    int    // jobs whose effects failed
	Poisoned, Counted         []int8 // jobs
}

// Reclaim is Store.Reclaim with reclaim.lua. It takes all landed jobs and at most page deliveries,
// the newest first. So many crashes as times make a job poison.
func (t *Twin) Reclaim(id, q, times, page int) (r Reclaimed) {
	bad := func(k kind, a int) bool { return t.bad[Key{Kind: k, A: a}] }
	listed := !bad(listKey, q) && !bad(queuesKey, 0)
	at, o := t.at(id, q), t.owners[id]
	if listed && !t.bad[Key{landingKey, id, q}] {
		r.Landed = t.moveLanded(at, q, 100, false)
	}
	held := t.flight[at]
	if t.bad[Key{flightKey, id, q}] {
		held = nil
	}
	for i := len(held) - 1; i >= max(0, len(held)-page); i-- {
		t.reclaim(&r, id, q, times, held[i], o, listed)
	}
	t.names[q] = t.names[q] || listed && len(t.lists[q]) > 0
	return r
}

// affected counts a job whose effects failed.
func (r *Reclaimed) affected(result queue.Result) {
	if result == queue.Partly {
		r.Partly++
	}
}

func (t *Twin) reclaim(r *Reclaimed, id, q, times int, h Held, o Record, listed bool) {
	suspect := times > 1 && int(h.Job.Crashes) >= times-1
	counts := times > 0 && !o.Left && (o.Alone == h.Token ||
		o.Alone == 0 && (!suspect || t.WaitersCount || slices.Contains(o.Ran, h.Token)))
	j, dies := h.Job, false
	if counts {
		j.Crashes++
		limit := times
		if o.Alone != h.Token && times > 1 {
			limit *= hopeless
		}
		dies = int(j.Crashes) >= limit
	}
	if dies && t.bad[Key{Kind: deadKey}] || !dies && !listed {
		r.Refused++
		return
	}
	t.remove(id, q, h.Token)
	if counts {
		r.Counted = append(r.Counted, j.ID)
	}
	if dies {
		r.affected(t.affect(t.effectsOf(j, queue.EventPoison)))
		t.leaveDead(id, q, h.Token, false)
		t.dead = with(t.dead, j)
		r.Poisoned = append(r.Poisoned, j.ID)
		return
	}
	r.affected(t.affect(t.effectsOf(j, queue.EventReclaim)))
	t.pushRight(q, j)
	t.leaveDead(id, q, h.Token, true)
	r.Requeued++
}

// Promote is promote.lua for one job: it moves from the retry or the schedule set to its queue.
func (t *Twin) Promote(set queue.Action, job int8, q int) queue.Result {
	from, k := &t.retry, retryKey
	if set == queue.Schedule {
		from, k = &t.schedule, scheduleKey
	}
	rest, found := without(*from, job)
	switch {
	case t.bad[Key{Kind: k}] || !found:
		return queue.Stale
	case t.bad[Key{Kind: listKey, A: q}] || t.bad[Key{Kind: queuesKey}]:
		return queue.Refused
	}
	for _, j := range *from {
		if j.ID == job {
			j.Crashes = 0
			t.names[q] = true
			t.pushLeft(q, j)
		}
	}
	*from = rest
	return queue.Settled
}
