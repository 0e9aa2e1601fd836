package worker

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
)

// pool is the slots of a capsule: its threads. The fetcher asks Redis for as many jobs as there are
// free seats, so every job has a thread. A job wakes at most one sleeping slot. Slots that are
// awake run short jobs one after the other. A woken slot that finds further jobs wakes the next
// slot, so a long job delays no other job.
type pool struct {
	// newPool writes these; afterwards they do not change.
	ledger *ledger
	index  int           // of the capsule
	name   string        // of the capsule
	freed  chan struct{} // notifies the fetcher: a seat may have come free
	settle chan struct{} // notifies the settler: there are results

	ended atomic.Uint64 // jobs that have ended; slots add, the fetcher reads

	// The ledger's mutex guards the rest.
	all     []*slot // the heartbeat adds replacements; a replaced slot removes itself
	made    int     // slots ever made, for their names
	idle    []*slot // slots that sleep add themselves; loops that wake one remove it
	waking  bool    // a slot was woken and has not looked for a job yet
	closed  bool    // the fetcher sets it: no more jobs come
	carried uint64  // the fetcher counts round trips that took results along; the settler reads
}

func newPool(l *ledger, index int, name string, n int) *pool {
	p := &pool{ledger: l, index: index, name: name, freed: make(chan struct{}, 1),
		settle: make(chan struct{}, 1)}
	for range n {
		p.add()
	}
	return p
}

// add makes a slot. The caller holds the ledger's mutex, unless it is newPool.
func (p *pool) add() *slot {
	s := newSlot(p.name + strconv.Itoa(p.made))
	p.made++
	p.all = append(p.all, s)
	return s
}

// replace makes a slot in the place of s, whose handler does not return. s ends when its handler
// returns. replace returns nil if no more jobs come, or if s is not a slot of this pool.
func (p *pool) replace(s *slot) *slot {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	if p.closed || s.replaced || !slices.Contains(p.all, s) {
		return nil
	}
	s.replaced = true
	p.ledger.process.Seat(p.index, 1)
	notify(p.freed)
	return p.add()
}

// slots returns the threads that there are now.
func (p *pool) slots() []*slot {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	return slices.Clone(p.all)
}

// busy counts jobs that wait for a thread or have one.
func (p *pool) busy() int {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	return p.ledger.process.Busy(p.index)
}

// wakeOne wakes a slot if there are jobs, unless a woken slot has not looked yet. The caller holds
// the ledger's mutex.
func (p *pool) wakeOne() {
	if n := len(p.idle); n > 0 && !p.waking && p.ledger.process.Waiting(p.index) {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.waking = true
		s.wake <- struct{}{}
	}
}

// next blocks until there is a job for s. It returns the job and a time at which the lease was
// valid, from which the job may start. It returns nil when no more jobs come. done says that s has
// just finished a job.
func (p *pool) next(s *slot, done bool) (*protocol.Entry, time.Time) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.replaced {
		p.all = slices.DeleteFunc(p.all, func(x *slot) bool { return x == s })
		l.process.Seat(p.index, -1)
		return nil, time.Time{}
	}
	if done {
		notify(p.freed)
	}
	for {
		waited, now := l.process.Waiting(p.index), time.Now()
		if e := l.process.Start(p.index, l.owners.valid(now)); e != nil {
			p.wakeOne()
			return e, now
		}
		if waited { // the lease of the job is lost: it goes back to its queue
			notify(p.settle)
		}
		if p.closed {
			return nil, now
		}
		p.idle = append(p.idle, s)
		l.mu.Unlock()
		<-s.wake
		l.mu.Lock()
		p.waking = false
	}
}

// close has the slots end when there are no more jobs.
func (p *pool) close() {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	p.closed = true
	for _, s := range p.idle {
		s.wake <- struct{}{}
	}
	p.idle = nil
}
