package worker

import (
	"sync"
	"sync/atomic"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// ledger is what the process knows of all its deliveries, over all capsules, and the
// decisions about them (package protocol). Every loop and every thread asks it; the mutex
// makes each question and its answer one step. Nothing is called while it is held.
type ledger struct {
	queues []string // of all capsules
	owners *ownership
	report func(stale int)
	bell   chan struct{} // rings when doorbells may have to be hung or taken down
	audit  chan struct{} // rings when Redis is to be compared with the ledger
	stale  atomic.Int64  // settlements of deliveries that had been taken away

	mu      sync.Mutex
	process *protocol.Process
	pools   []*pool // by capsule
}

func newLedger(capsules []Capsule, queues []string, tokens func(n int) uint64, o *ownership,
	report func(int)) *ledger {
	l := &ledger{queues: queues, owners: o, report: report, bell: make(chan struct{}, 1),
		audit: make(chan struct{}, 1)}
	var list []protocol.Capsule
	for i := range capsules {
		c := &capsules[i]
		list = append(list, protocol.Capsule{Queues: indexes(queues, c.names()),
			Seats: c.Concurrency, Trips: c.trips()})
		l.pools = append(l.pools, newPool(l, i, c.Name, c.Concurrency))
	}
	l.process = protocol.New(list, len(queues), tokens)
	return l
}

// indexes finds names among queues.
func indexes(queues, names []string) []int {
	at := make(map[string]int, len(queues))
	for i, name := range queues {
		at[name] = i
	}
	list := make([]int, len(names))
	for i, name := range names {
		list[i] = at[name]
	}
	return list
}

// renewed takes a new identity for what is fetched from now on.
func (l *ledger) renewed(o *queue.Owner) {
	l.mu.Lock()
	l.process.Renewed(o)
	l.mu.Unlock()
	l.everybody()
}

// quiet ends the intake for good.
func (l *ledger) quiet() {
	l.mu.Lock()
	l.process.Quiet()
	l.mu.Unlock()
	l.everybody()
}

// setPaused tells which queues nobody is to take from.
func (l *ledger) setPaused(names []string) {
	paused := make([]bool, len(l.queues))
	for _, i := range indexes(l.queues, intersect(l.queues, names)) {
		paused[i] = true
	}
	l.mu.Lock()
	news := l.process.Paused(paused)
	l.mu.Unlock()
	if news {
		l.everybody()
	}
}

func intersect(a, b []string) (both []string) {
	in := make(map[string]bool, len(b))
	for _, x := range b {
		in[x] = true
	}
	for _, x := range a {
		if in[x] {
			both = append(both, x)
		}
	}
	return both
}

// everybody wakes all loops: something changed that may concern each.
func (l *ledger) everybody() {
	l.mu.Lock()
	for _, p := range l.pools {
		p.rouse()
	}
	l.mu.Unlock()
	for _, p := range l.pools {
		ring(p.freed)
		ring(p.settle)
	}
	ring(l.bell)
}

// rouse wakes a thread of a capsule if there are jobs for it.
func (l *ledger) rouse(capsule int) {
	l.mu.Lock()
	l.pools[capsule].rouse()
	l.mu.Unlock()
}

// finish notes what becomes of a delivery that a thread had; nil: it is done.
func (l *ledger) finish(e *protocol.Entry, x *queue.Settlement) {
	p := l.pools[e.Capsule]
	l.mu.Lock()
	l.process.Finish(e, x)
	first := l.process.Unsettled(e.Capsule) == 1
	l.mu.Unlock()
	p.ended.Add(1)
	if first || x != nil {
		ring(p.settle)
	}
}

// settled reports whether Redis has confirmed everything.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.process.Settled()
}

// abandon gives back what handlers still have that ignore the end of their time.
func (l *ledger) abandon() (n int) {
	l.mu.Lock()
	for _, e := range l.process.Running() {
		l.process.Abandon(e)
		n++
	}
	l.mu.Unlock()
	l.everybody()
	return n
}

// count notes deliveries that were not ours any more when they were settled.
func (l *ledger) count(stale int) {
	if stale > 0 {
		l.stale.Add(int64(stale))
		l.report(stale)
	}
}

// ring wakes the reader of a channel of one place, which looks for itself for work.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
