package model

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Change is what a claim or an effect does with a lock for a job. One job at most holds a lock.
type Change struct {
	Lock, Job int8
	Take      bool // else the job gives the lock back, if it has it
}

// claim makes the changes of claims, in order, and reports whether all are granted. It stops at the
// first lock that another job has.
func (t *Twin) claim(list []Change) bool {
	for _, c := range list {
		if !t.change(c) {
			return false
		}
	}
	return true
}

// change changes a lock. It returns false if another job has the lock that is to be taken, or if a
// key of the lock has a wrong type.
func (t *Twin) change(c Change) bool {
	holders := t.locks[c.Lock]
	switch {
	case t.bad[Key{Kind: lockKey, A: int(c.Lock)}]:
		return false
	case !c.Take && t.ReleaseAny:
		t.locks[c.Lock] = nil
	case !c.Take:
		t.locks[c.Lock] = slices.DeleteFunc(slices.Clone(holders), func(id int8) bool {
			return id == c.Job
		})
	case len(holders) == 0:
		t.locks[c.Lock] = []int8{c.Job}
	default:
		return slices.Contains(holders, c.Job)
	}
	return true
}

// affect carries out the effects of a job. It returns Partly if one fails.
func (t *Twin) affect(list []Change) queue.Result {
	result := queue.Settled
	for _, c := range list {
		t.change(c)
		if t.bad[Key{Kind: lockKey, A: int(c.Lock)}] {
			result = queue.Partly
		}
	}
	return result
}

// PushClaiming is push.lua, and the copy that makes claims. It returns the jobs that are pushed.
func (t *Twin) PushClaiming(q int, jobs ...Job) (pushed []Job) {
	if t.bad[Key{Kind: listKey, A: q}] || t.bad[Key{Kind: queuesKey}] {
		return nil
	}
	for _, j := range jobs {
		if t.claim(j.pushClaims()) {
			pushed = append(pushed, j)
		}
	}
	t.Push(q, pushed...)
	return pushed
}

// Claim is claim.lua. It makes the claims of a delivery, if it is in flight.
func (t *Twin) Claim(id, q int, token uint64, list []Change) (granted, mine bool) {
	mine = t.ClaimUnheld
	for _, h := range t.flight[t.at(id, q)] {
		mine = mine || h.Token == token && !t.bad[Key{flightKey, id, q}]
	}
	return mine && t.claim(list), mine
}

// Drop is drop.lua for one job of the list or the set k: the job is deleted, or goes to the dead
// set.
func (t *Twin) Drop(k Key, job int8, bury bool) queue.Result {
	from := t.jobsAt(k)
	var rest []Job
	found := false
	switch {
	case t.bad[k] || bury && t.bad[Key{Kind: deadKey}] && len(*from) > 0:
		return queue.Refused
	default:
		rest, found = without(*from, job)
	}
	if !found {
		return queue.Stale
	}
	j := (*from)[slices.IndexFunc(*from, func(j Job) bool { return j.ID == job })]
	*from = rest
	if bury {
		t.dead = with(t.dead, j)
		return t.affect(t.effectsOf(j, queue.EventDead))
	}
	return t.affect(t.effectsOf(j, queue.EventDelete))
}

// jobsAt returns the jobs of a list or a set.
func (t *Twin) jobsAt(k Key) *[]Job {
	switch k.Kind {
	case retryKey:
		return &t.retry
	case scheduleKey:
		return &t.schedule
	case deadKey:
		return &t.dead
	}
	return &t.lists[k.A]
}

// effectsOf returns the effects of a job at an event, by the design.
func (t *Twin) effectsOf(j Job, e queue.EffectEvent) []Change {
	if t.Effects != nil {
		return t.Effects(j, e)
	}
	return j.effects(e)
}
