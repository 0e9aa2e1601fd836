package worker

import (
	"slices"
	"strconv"
	"sync"
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
	ledgers []*ledger     // of all shards, with one mutex
	index   int           // of the capsule
	name    string        // of the capsule
	freed   chan struct{} // notifies the fetcher: a seat may have come free

	ended atomic.Uint64 // jobs that have ended; slots add, the fetcher reads

	// The mutex of the ledgers guards the rest.
	all    []*slot // the heartbeat adds replacements; a replaced slot removes itself
	made   int     // slots ever made, for their names
	idle   []*slot // slots that sleep add themselves; loops that wake one remove it
	waking bool    // a slot was woken and has not looked for a job yet
	closed bool    // the fetcher sets it: no more jobs come
	turn   int     // the shard whose jobs start next, if several have some
}

func newPool(l *ledger, index int, name string, n int) *pool {
	p := &pool{ledgers: []*ledger{l}, index: index, name: name, freed: make(chan struct{}, 1)}
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
	mu := p.mu()
	mu.Lock()
	defer mu.Unlock()
	if p.closed || s.replaced || !slices.Contains(p.all, s) {
		return nil
	}
	s.replaced = true
	p.seat(1)
	notify(p.freed)
	return p.add()
}

// slots returns the threads that there are now.
func (p *pool) slots() []*slot {
	mu := p.mu()
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(p.all)
}

// busy counts jobs that wait for a thread or have one.
func (p *pool) busy() (n int) {
	mu := p.mu()
	mu.Lock()
	defer mu.Unlock()
	for _, l := range p.ledgers {
		n += l.process.Busy(p.index)
	}
	return n
}

// wakeOne wakes a slot if there are jobs, unless a woken slot has not looked yet. The caller holds
// the ledger's mutex.
func (p *pool) wakeOne() {
	if n := len(p.idle); n > 0 && !p.waking && p.waiting() {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.waking = true
		s.wake <- struct{}{}
	}
}

// waiting reports whether there are jobs that may start. The caller holds the mutex.
func (p *pool) waiting() bool {
	for _, l := range p.ledgers {
		if l.process.Waiting(p.index) {
			return true
		}
	}
	return false
}

// seat adds n seats, which the shards share. The caller holds the mutex.
func (p *pool) seat(n int) {
	for _, l := range p.ledgers {
		l.process.Seat(p.index, n)
	}
}

// mu is the mutex of the ledgers.
func (p *pool) mu() *sync.Mutex { return p.ledgers[0].mu }

// start returns the next job that may start at a time, with the ledger of its shard, or nil. A job
// whose lease is lost goes back to its queue. The caller holds the mutex.
func (p *pool) start(now time.Time) (*protocol.Entry, *ledger) {
	for range p.ledgers {
		p.turn = (p.turn + 1) % len(p.ledgers)
		l := p.ledgers[p.turn]
		waited := l.process.Waiting(p.index)
		if e := l.process.Start(p.index, l.owners.valid(now)); e != nil {
			return e, l
		}
		if waited {
			notify(l.settle[p.index])
		}
	}
	return nil, nil
}

// next blocks until there is a job for s. It returns the job, the ledger of its shard, and a time
// at which the lease was valid, from which the job may start. It returns nil when no more jobs
// come. done says that s has just finished a job.
func (p *pool) next(s *slot, done bool) (*protocol.Entry, *ledger, time.Time) {
	mu := p.mu()
	mu.Lock()
	defer mu.Unlock()
	if s.replaced {
		p.all = slices.DeleteFunc(p.all, func(x *slot) bool { return x == s })
		p.seat(-1)
		return nil, nil, time.Time{}
	}
	if done {
		notify(p.freed)
	}
	for {
		now := time.Now()
		if e, l := p.start(now); e != nil {
			p.wakeOne()
			return e, l, now
		}
		if p.closed {
			return nil, nil, now
		}
		p.idle = append(p.idle, s)
		mu.Unlock()
		<-s.wake
		mu.Lock()
		p.waking = false
	}
}

// close has the slots end when there are no more jobs.
func (p *pool) close() {
	mu := p.mu()
	mu.Lock()
	defer mu.Unlock()
	p.closed = true
	for _, s := range p.idle {
		s.wake <- struct{}{}
	}
	p.idle = nil
}
