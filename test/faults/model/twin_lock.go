package model

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Lock is a kind of lock that a job has. The names are those of sidekiq-unique-jobs.
type Lock int8

// The kinds of locks.
const (
	NoLock         Lock = iota
	UntilExecuting      // from its push until it starts
	UntilExecuted       // from its push until it is done, dead, expired or deleted
	WhileExecuting      // while it runs
)

// The two locks of a digest. One job at most holds each.
const (
	pushLock = iota // of the key DIGEST
	runLock         // of the key DIGEST:RUN
	lockKeys        // how many there are
)

const digests = 2

// Holding is a lock and a job that holds it, or is to hold it. As an effect it means that the job
// gives the lock back.
type Holding struct{ Lock, Job int8 }

// Claim is a claim of a job for a lock.
type Claim struct {
	Holding
	Op claimOp
}

type claimOp byte

// What a claim does.
const (
	take claimOp = iota // refused if another job has the lock
	own                 // takes the lock if it is free, and is always granted
	give                // gives the lock back, and is always granted
)

// lockOf returns the number of one of the two locks of a job's digest.
func (j Job) lockOf(which int8) int8 { return j.Digest*lockKeys + which }

// claimsAtPush returns the claims of the push of a job.
func (j Job) claimsAtPush() []Claim {
	if j.Lock == UntilExecuting || j.Lock == UntilExecuted {
		return []Claim{{Holding{j.lockOf(pushLock), j.ID}, take}}
	}
	return nil
}

// claimsAtStart returns the claims of the start of a job.
func (j Job) claimsAtStart() []Claim {
	switch j.Lock {
	case UntilExecuting:
		return []Claim{{Holding{j.lockOf(pushLock), j.ID}, give}}
	case UntilExecuted:
		return []Claim{{Holding{j.lockOf(pushLock), j.ID}, own}}
	case WhileExecuting:
		return []Claim{{Holding{j.lockOf(runLock), j.ID}, take}}
	}
	return nil
}

// ends are the events after which a job is in no place where it can run.
var ends = []queue.EffectEvent{queue.EventDone, queue.EventDead, queue.EventDiscard,
	queue.EventExpire, queue.EventPoison, queue.EventDelete}

// effects returns the locks that a job gives back at an event.
func (j Job) effects(e queue.EffectEvent) []Holding {
	switch j.Lock {
	case UntilExecuting, UntilExecuted:
		if slices.Contains(ends, e) {
			return []Holding{{j.lockOf(pushLock), j.ID}}
		}
	case WhileExecuting:
		return []Holding{{j.lockOf(runLock), j.ID}}
	}
	return nil
}

// claim makes claims in order until one is refused, and reports whether all are granted.
func (t *Twin) claim(list []Claim) bool {
	for _, c := range list {
		holders := t.locks[c.Lock]
		switch {
		case c.Op == give:
			t.give(c.Holding)
		case slices.Contains(holders, c.Job):
		case len(holders) == 0:
			t.locks[c.Lock] = []int8{c.Job}
		case c.Op == take:
			return false
		}
	}
	return true
}

// give is an effect: a job gives a lock back if it holds it.
func (t *Twin) give(h Holding) {
	if t.ReleaseAny {
		t.locks[h.Lock] = nil
	}
	t.locks[h.Lock] = slices.DeleteFunc(slices.Clone(t.locks[h.Lock]), func(id int8) bool {
		return id == h.Job
	})
}

// giveAll carries out the effects of a job.
func (t *Twin) giveAll(list []Holding) {
	for _, h := range list {
		t.give(h)
	}
}

// PushClaiming is the copy of push.lua that makes the claims of a job. It returns false if one was
// refused or a key has a wrong type.
func (t *Twin) PushClaiming(q int, j Job) bool {
	return !t.bad[Key{Kind: listKey, A: q}] && !t.bad[Key{Kind: queuesKey}] &&
		t.claim(j.claimsAtPush()) && t.Push(q, j)
}

// Claim is claim.lua. It makes the claims of a delivery, if it is in flight.
func (t *Twin) Claim(id, q int, token uint64, list []Claim) (granted, mine bool) {
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
	event := queue.EventDelete
	for _, j := range *from {
		if j.ID == job && bury {
			t.dead, event = with(t.dead, j), queue.EventDead
		}
		if j.ID == job {
			t.giveAll(t.effectsOf(j, event))
		}
	}
	*from = rest
	return queue.Settled
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

// effectsOf returns the locks that a job gives back at an event, by the design.
func (t *Twin) effectsOf(j Job, e queue.EffectEvent) []Holding {
	if t.Effects != nil {
		return t.Effects(j, e)
	}
	return j.effects(e)
}
