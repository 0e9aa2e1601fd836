package worker

import (
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
)

// pool is the slots of a capsule: its threads. The fetcher asks Redis for as many jobs as
// there are seats, so there is never a job without a thread. A job wakes one sleeping slot at
// most: short jobs are run one after another by slots that are awake, and a woken slot that
// finds more jobs than itself wakes the next, so that a long job holds nothing up.
type pool struct {
	ledger *ledger
	index  int // of the capsule
	name   string
	freed  chan struct{} // rings when a seat may have come free, for the fetcher
	settle chan struct{} // rings when there are results, for the settler
	ended  atomic.Uint64 // jobs that have ended; the fetcher reads it without the mutex

	// The rest is guarded by the ledger's mutex.
	all    []*slot
	made   int // slots ever, for their names
	idle   []*slot
	waking bool // a slot was woken and has not looked yet
	closed bool
	rides  uint64 // trips that took results along
}

func newPool(l *ledger, index int, name string, n int) *pool {
	p := &pool{ledger: l, index: index, name: name, freed: make(chan struct{}, 1),
		settle: make(chan struct{}, 1)}
	for range n {
		p.add()
	}
	return p
}

// add makes a slot. The caller holds the ledger's mutex, or is alone.
func (p *pool) add() *slot {
	s := newSlot(p.name + strconv.Itoa(p.made))
	p.made++
	p.all = append(p.all, s)
	return s
}

// replace makes a slot in the place of one whose handler does not return. The old one ends
// when it does. It returns nil when there is no more work, or s is not one of the pool's.
func (p *pool) replace(s *slot) *slot {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	if p.closed || s.replaced || !slices.Contains(p.all, s) {
		return nil
	}
	s.replaced = true
	p.ledger.process.Seat(p.index, 1)
	ring(p.freed)
	return p.add()
}

// slots are the threads that there are now.
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

// rouse wakes a slot if there are jobs, and none is waking already. The caller holds the
// ledger's mutex.
func (p *pool) rouse() {
	if n := len(p.idle); n > 0 && !p.waking && p.ledger.process.Waiting(p.index) {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.waking = true
		s.wake <- struct{}{}
	}
}

// next blocks until there is a job for s, and returns it with the time at which it may start:
// the lease held then. It returns nil when there will be no more. done tells that s has
// finished one.
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
		ring(p.freed)
	}
	for {
		waited, now := l.process.Waiting(p.index), time.Now()
		if e := l.process.Start(p.index, l.owners.holds(now)); e != nil {
			p.rouse()
			return e, now
		}
		if waited { // its lease is lost: it goes back
			ring(p.settle)
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

// close lets the slots end.
func (p *pool) close() {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	p.closed = true
	for _, s := range p.idle {
		s.wake <- struct{}{}
	}
	p.idle = nil
}
