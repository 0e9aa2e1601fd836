package worker

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// slot is one of a capsule's threads: a goroutine that runs one job at a time.
type slot struct {
	tid  string
	wake chan struct{} // takes one; rings when the pool wants it to look for a job

	mu        sync.Mutex
	delivery  *queue.Delivery // from when it is taken until it is settled
	class     string
	started   time.Time
	overdue   time.Time // when the handler should have returned; zero if it may run on
	stuck     bool      // has been reported
	goroutine string    // "goroutine 12", to find its stack

	replaced bool // another has its place; of the pool's mutex
	metrics  map[string]*queue.ClassMetrics
}

// pool is the slots of a capsule and the jobs that were fetched for them. The
// fetcher reserves threads before it fetches, so there is never a job without
// one. A job wakes one sleeping slot at most: short jobs are run one after
// another by slots that are awake, and a woken slot that finds more jobs than
// itself wakes the next, so that a long job holds nothing up.
type pool struct {
	capsule string
	freed   chan struct{} // rings when a thread comes free

	mu     sync.Mutex
	all    []*slot
	made   int // slots ever, for their names
	free   int // threads without a job, and not reserved for one
	ready  []*queue.Delivery
	idle   []*slot
	waking bool // a slot was woken and has not looked yet
	closed bool
}

func newPool(capsule string, n int) *pool {
	p := &pool{capsule: capsule, freed: make(chan struct{}, 1), free: n}
	for range n {
		p.add()
	}
	return p
}

// add makes a slot. The caller holds mu, or is alone.
func (p *pool) add() *slot {
	s := &slot{tid: p.capsule + strconv.Itoa(p.made), wake: make(chan struct{}, 1), metrics: map[string]*queue.ClassMetrics{}}
	p.made++
	p.all = append(p.all, s)
	return s
}

// replace makes a slot in the place of one whose handler does not return. The old
// one ends when it does. It returns nil when there is no more work, or s is not
// one of the pool's.
func (p *pool) replace(s *slot) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.replaced || !slices.Contains(p.all, s) {
		return nil
	}
	s.replaced = true
	fresh := p.add()
	p.free++
	ring(p.freed)
	return fresh
}

// slots are the threads that there are now.
func (p *pool) slots() []*slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// reserve takes up to n free threads for jobs to come, and gives their number.
func (p *pool) reserve(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, p.free)
	p.free -= n
	return n
}

// deliver brings jobs for reserved threads, and gives back those reserved in
// vain.
func (p *pool) deliver(jobs []*queue.Delivery, inVain int) {
	p.mu.Lock()
	p.ready = append(p.ready, jobs...)
	p.free += inVain
	p.rouse()
	p.mu.Unlock()
	if inVain > 0 {
		ring(p.freed)
	}
}

// rouse wakes a slot if there are jobs, and none is waking already. The caller
// holds mu.
func (p *pool) rouse() {
	if n := len(p.idle); n > 0 && len(p.ready) > 0 && !p.waking {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.waking = true
		s.wake <- struct{}{}
	}
}

// next blocks until there is a job for s, and returns nil when there will be no
// more. done tells that s has finished one.
func (p *pool) next(s *slot, done bool) *queue.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.replaced {
		p.all = slices.DeleteFunc(p.all, func(x *slot) bool { return x == s })
		return nil
	}
	if done {
		p.free++
		ring(p.freed)
	}
	for len(p.ready) == 0 {
		if p.closed {
			return nil
		}
		p.idle = append(p.idle, s)
		p.mu.Unlock()
		<-s.wake
		p.mu.Lock()
		p.waking = false
	}
	d := p.ready[0]
	p.ready = p.ready[1:]
	s.hold(d)
	p.rouse()
	return d
}

// close lets the slots end when the jobs that are ready have run.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, s := range p.idle {
		s.wake <- struct{}{}
	}
	p.idle = nil
}

func (p *pool) freeCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

// held is every job that is ready or in a slot's hands.
func (p *pool) held() []*queue.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := append([]*queue.Delivery(nil), p.ready...)
	for _, s := range p.all {
		s.mu.Lock()
		if s.delivery != nil {
			list = append(list, s.delivery)
		}
		s.mu.Unlock()
	}
	return list
}

// ring wakes the reader of a channel of one place, who looks for itself what
// there is to do.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hold notes the job that s is to run; nil when the settler holds it.
func (s *slot) hold(d *queue.Delivery) {
	s.mu.Lock()
	s.delivery = d
	s.mu.Unlock()
}

func (s *slot) begin(class string, now, overdue time.Time) {
	s.mu.Lock()
	s.class, s.started, s.overdue, s.stuck = class, now, overdue, false
	s.mu.Unlock()
}

// end notes that the handler has returned. counted tells whether its run is one
// for the metrics.
func (s *slot) end(elapsed time.Duration, failed, counted bool) {
	s.mu.Lock()
	if counted {
		m := s.metrics[s.class]
		if m == nil {
			m = &queue.ClassMetrics{}
			s.metrics[s.class] = m
		}
		m.Add(elapsed, failed)
	}
	s.class, s.started, s.overdue = "", time.Time{}, time.Time{}
	s.mu.Unlock()
}

// drainMetrics moves what the slot has measured into m.
func (s *slot) drainMetrics(m map[string]*queue.ClassMetrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mergeMetrics(m, s.metrics)
	clear(s.metrics)
}

func mergeMetrics(into, from map[string]*queue.ClassMetrics) {
	for class, m := range from {
		if into[class] == nil {
			into[class] = &queue.ClassMetrics{}
		}
		into[class].Merge(m)
	}
}
