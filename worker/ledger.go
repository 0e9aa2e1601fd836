package worker

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// ledger is what the process knows about all its deliveries, over all capsules. Package protocol
// decides about them. All loops and threads use the ledger; the mutex makes each question with its
// answer one step. A goroutine that has the mutex calls nothing that can block.
type ledger struct {
	// newLedger writes these; afterwards they do not change.
	shard  int      // its index among the shards of the process
	queues []string // of all capsules
	owners *ownership
	report func(stale int)
	bells  chan struct{} // notifies the doorbells: some may have to be hung or taken down
	audit  chan struct{} // notifies the auditor: Redis is to be compared with the ledger
	sift   chan struct{} // notifies the sifter: a source has not seen some jobs
	// settle notifies the settler of each capsule: there are results.
	settle []chan struct{}
	pools  []*pool // by capsule, for all shards; the mutex guards their fields

	stale atomic.Int64 // results that came after their delivery was taken away; only grows
	// Slots add; the heartbeat takes the counts and sets them to zero.
	processed, failed, expired atomic.Int64

	mu      *sync.Mutex       // one for the ledgers of all shards, because they share threads
	process *protocol.Process // guarded by mu
	left    departed          // since the last flush of history; guarded by mu
	carried []uint64          // by capsule: round trips that took results along; guarded by mu
}

func newLedger(capsules []Capsule, queues []string, tokens func(n int) uint64, o *ownership,
	report func(int)) *ledger {
	l := &ledger{queues: queues, owners: o, report: report, bells: make(chan struct{}, 1),
		audit: make(chan struct{}, 1), sift: make(chan struct{}, 1), left: departed{},
		mu: new(sync.Mutex), carried: make([]uint64, len(capsules))}
	var list []protocol.Capsule
	for i := range capsules {
		c := &capsules[i]
		list = append(list, protocol.Capsule{Queues: indexes(queues, c.names()),
			Seats: c.Concurrency, Trips: c.trips(), Floors: c.floors(queues),
			Strict: c.Mode() == Strict})
		l.settle = append(l.settle, make(chan struct{}, 1))
		l.pools = append(l.pools, newPool(l, i, c.Name, c.Concurrency))
	}
	l.process = protocol.New(list, len(queues), tokens)
	return l
}

// joinLedgers has the ledgers of several shards share the threads of the first one.
func joinLedgers(list []*ledger) {
	processes := make([]*protocol.Process, len(list))
	for i, l := range list {
		processes[i] = l.process
		if l.shard = i; i > 0 {
			l.mu, l.pools = list[0].mu, list[0].pools
		}
	}
	for _, p := range list[0].pools {
		p.ledgers = list
	}
	protocol.Join(processes)
}

// indexes returns the index in queues of each name. A name that is not there gets 0.
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

// renewed sets a new identity, under which jobs are fetched from now on.
func (l *ledger) renewed(o *queue.Owner) {
	l.mu.Lock()
	l.process.Renewed(o)
	l.mu.Unlock()
	l.notifyAll()
}

// quiet ends the intake for good.
func (l *ledger) quiet() {
	l.mu.Lock()
	l.process.Quiet()
	l.mu.Unlock()
	l.notifyAll()
}

// setPaused sets the queues that no worker takes jobs from.
func (l *ledger) setPaused(names []string) {
	paused := make([]bool, len(l.queues))
	for _, i := range indexes(l.queues, intersect(l.queues, names)) {
		paused[i] = true
	}
	l.mu.Lock()
	news := l.process.Paused(paused)
	l.mu.Unlock()
	if news {
		l.notifyAll()
	}
}

// setSourced sets the queues whose jobs a source keeps.
func (l *ledger) setSourced(serves func(queue string) bool) {
	sourced := make([]bool, len(l.queues))
	for i, name := range l.queues {
		sourced[i] = serves(name)
	}
	l.mu.Lock()
	news := l.process.Sourced(sourced)
	l.mu.Unlock()
	if news {
		l.notifyAll()
	}
}

// sourced returns the queues of a capsule whose jobs a source keeps.
func (l *ledger) sourced(capsule int) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.process.SourcesOf(capsule) {
		names = append(names, l.queues[q])
	}
	return names
}

// isSourced reports whether a source keeps the jobs of a queue.
func (l *ledger) isSourced(queue int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.process.IsSourced(queue)
}

// sifted notes that a source has seen jobs of a queue, or that some of its jobs may run. The
// fetchers look at once.
func (l *ledger) sifted(queue int, more bool) {
	l.mu.Lock()
	l.process.Sifted(queue, more)
	l.mu.Unlock()
	for _, p := range l.pools {
		notify(p.freed)
	}
}

// wake has the fetchers of a queue look for jobs.
func (l *ledger) wake(queue int) {
	l.mu.Lock()
	for i := range l.pools {
		if slices.Contains(l.process.SourcesOf(i), queue) {
			l.process.Wake(i)
		}
	}
	l.mu.Unlock()
	for _, p := range l.pools {
		notify(p.freed)
	}
}

// unseen returns the queues of which a source has not seen some jobs, and the identity that moves
// them.
func (l *ledger) unseen() (queues []int, identity string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if queues = l.process.Unseen(); len(queues) > 0 {
		identity = l.process.Owner.Identity
	}
	return queues, identity
}

// intersect returns the strings of a that are also in b.
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

// locked calls fn under the mutex.
func (l *ledger) locked(fn func(*protocol.Process)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(l.process)
}

// alone reports whether nothing runs but the suspect, which is inside the gate.
func (l *ledger) alone(e *protocol.Entry) (alone bool) {
	l.locked(func(p *protocol.Process) { alone = p.Alone(e) })
	return alone
}

// beside ends the wait of a suspect, unless another suspect is inside the gate.
func (l *ledger) beside() (ok bool) {
	l.locked(func(p *protocol.Process) { ok = p.Beside() })
	return ok
}

// notifyAll wakes all loops, and a thread of each capsule, after a change that may concern each.
func (l *ledger) notifyAll() {
	l.mu.Lock()
	for _, p := range l.pools {
		p.wakeOne()
	}
	l.mu.Unlock()
	for _, p := range l.pools {
		notify(p.freed)
		notify(l.settle[p.index])
	}
	notify(l.bells)
}

// wakeOne wakes a thread of a capsule if there are jobs for it.
func (l *ledger) wakeOne(capsule int) {
	l.mu.Lock()
	l.pools[capsule].wakeOne()
	l.mu.Unlock()
}

// finish notes the result of a delivery that a thread had. nil means done.
func (l *ledger) finish(e *protocol.Entry, x *queue.Settlement) {
	p := l.pools[e.Capsule]
	l.mu.Lock()
	l.process.Finish(e, x)
	first := l.process.Unsettled(e.Capsule) == 1
	l.mu.Unlock()
	p.ended.Add(1)
	if first || x != nil {
		notify(l.settle[e.Capsule])
	}
}

// settled reports whether Redis has confirmed all results, and nothing runs.
func (l *ledger) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.process.Settled()
}

// flow returns, by queue, how many jobs have left since the last call, and how many are in flight.
func (l *ledger) flow() (out departed, held map[string]int64) {
	held = map[string]int64{}
	l.mu.Lock()
	defer l.mu.Unlock()
	out, l.left = l.left, departed{}
	l.process.Each(func(e *protocol.Entry) { held[e.Queue]++ })
	return out, held
}

// abandon gives back the jobs whose handlers ignore the end of their time, and counts them.
func (l *ledger) abandon() (n int) {
	l.mu.Lock()
	for _, e := range l.process.Running() {
		l.process.Abandon(e)
		n++
	}
	l.mu.Unlock()
	l.notifyAll()
	return n
}

// count counts and reports results that came after their deliveries were taken away.
func (l *ledger) count(stale int) {
	if stale > 0 {
		l.stale.Add(int64(stale))
		l.report(stale)
	}
}

// notify wakes the reader of a channel with room for one value. The reader then looks for work
// itself, so a second value would add nothing.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
