package model

import (
	"fmt"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Lock is a kind of lock that a job has.
type Lock int8

// The kinds of locks, as package unique describes them.
const (
	NoLock Lock = iota
	UntilDone
	UntilStart
	WhileRunning
	UntilStartWhileRunning
	lockKinds
)

var kindsOfLocks = [lockKinds]unique.Kind{"", unique.UntilDone, unique.UntilStart,
	unique.WhileRunning, unique.UntilStartWhileRunning}

// A digest has two locks: of jobs that wait, and of jobs that run. Their keys are DIGEST and
// DIGEST:RUN.
const (
	waitLock = iota
	runLock
	locksOfDigest
)

const digests = 2

var digestNames = [digests]string{"uniquejobs:a", "uniquejobs:b"}

// runs reports whether a job with the lock needs another one while it runs.
func (l Lock) runs() bool { return l == WhileRunning || l == UntilStartWhileRunning }

// lock returns the number of a lock of the job's digest.
func (j Job) lock(which int8) int8 { return j.Digest*locksOfDigest + which }

func (j Job) take(which int8) Change { return Change{j.lock(which), j.ID, true} }
func (j Job) give(which int8) Change { return Change{j.lock(which), j.ID, false} }

// pushClaims returns the claims of the push of a job.
func (j Job) pushClaims() []Change {
	if j.Lock == NoLock || j.Lock == WhileRunning {
		return nil
	}
	return []Change{j.take(waitLock)}
}

// startClaims returns the claims of the start of a job.
func (j Job) startClaims() []Change {
	switch j.Lock {
	case UntilDone: // it runs also if another job has the lock
		return []Change{j.take(waitLock)}
	case UntilStart:
		return []Change{j.give(waitLock)}
	case WhileRunning:
		return []Change{j.take(runLock)}
	case UntilStartWhileRunning:
		return []Change{j.take(runLock), j.give(waitLock)}
	}
	return nil
}

// happens are the events of removals.
var happens = []queue.EffectEvent{queue.EventDone, queue.EventRetry, queue.EventSnooze,
	queue.EventRequeue, queue.EventForward, queue.EventHold, queue.EventDead, queue.EventDiscard,
	queue.EventExpire, queue.EventReclaim, queue.EventPoison, queue.EventDelete}

// effectTable has the effects of package unique, by kind of lock and event, for job 0 and digest 0.
var effectTable = func() (table [lockKinds]map[queue.EffectEvent][]Change) {
	c := unique.Capability()
	for kind := range table {
		table[kind] = map[queue.EffectEvent][]Change{}
		raw := fmt.Sprintf(`{"class":"Job","args":[],"jid":"j0","lock":%q,"lock_digest":%q}`,
			kindsOfLocks[kind], digestNames[0])
		j, err := envelope.ParseJob(raw)
		if err != nil {
			panic(err)
		}
		for _, event := range happens {
			for _, e := range c.Effects(j, event) {
				which := int8(waitLock)
				if e.Keys[0] != digestNames[0] {
					which = runLock
				}
				table[kind][event] = append(table[kind][event], Change{which, 0,
					e.Args[0] == "take"})
			}
		}
	}
	return table
}()

// effects returns the effects of a job at an event, as package unique decides them.
func (j Job) effects(event queue.EffectEvent) (list []Change) {
	for _, c := range effectTable[j.Lock][event] {
		list = append(list, Change{j.lock(c.Lock), j.ID, c.Take})
	}
	return list
}
