package worker

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// slot is one of a capsule's threads: a goroutine that runs one job at a time.
type slot struct {
	tid  string
	jobs chan *queue.Delivery // takes one; closed when there are no more

	mu        sync.Mutex
	delivery  *queue.Delivery // set before it is handed over, cleared after it is settled
	class     string
	started   time.Time
	overdue   time.Time // when the handler should have returned; zero if it may run on
	stuck     bool      // has been reported
	goroutine string    // "goroutine 12", to find its stack
	metrics   map[string]*queue.ClassMetrics
}

// pool is the slots of a capsule. It knows which are free: the fetcher takes
// them and fills them, the slots give themselves back.
type pool struct {
	all   []*slot
	freed chan struct{} // rings when a slot comes back

	mu   sync.Mutex
	free []*slot
}

func newPool(capsule string, n int) *pool {
	p := &pool{freed: make(chan struct{}, 1)}
	for i := range n {
		p.all = append(p.all, &slot{tid: capsule + strconv.Itoa(i), jobs: make(chan *queue.Delivery, 1),
			metrics: map[string]*queue.ClassMetrics{}})
	}
	p.free = append(p.free, p.all...)
	return p
}

// take gives up to n free slots to the caller.
func (p *pool) take(n int) []*slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.free))
	cut := len(p.free) - n
	taken := append([]*slot(nil), p.free[cut:]...)
	p.free = p.free[:cut]
	return taken
}

func (p *pool) put(slots ...*slot) {
	p.mu.Lock()
	p.free = append(p.free, slots...)
	p.mu.Unlock()
	ring(p.freed)
}

func (p *pool) freeCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free)
}

// ring wakes the reader of a channel of one place, who looks for itself what
// there is to do.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hand gives a job to a slot that was taken.
func (s *slot) hand(d *queue.Delivery) {
	s.mu.Lock()
	s.delivery = d
	s.mu.Unlock()
	s.jobs <- d
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

// release forgets the job, which the settler holds now.
func (s *slot) release() {
	s.mu.Lock()
	s.delivery = nil
	s.mu.Unlock()
}

// held is the job in the slot's hands, or nil.
func (s *slot) held() *queue.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delivery
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

// jobContext is a running job's context: done when the epoch is or when the job
// has ended. Most handlers never ask, so the part that can be cancelled is made
// when one does.
type jobContext struct {
	context.Context // the epoch's
	job             *queue.Job

	mu     sync.Mutex
	inner  context.Context
	cancel context.CancelCauseFunc
	ended  bool
}

func (c *jobContext) lazy() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancelCause(queue.WithJob(c.Context, c.job))
		if c.ended {
			c.cancel(context.Canceled)
		}
	}
	return c.inner
}

func (c *jobContext) Done() <-chan struct{} { return c.lazy().Done() }
func (c *jobContext) Err() error            { return c.lazy().Err() }
func (c *jobContext) Value(key any) any     { return c.lazy().Value(key) }

// end cancels what the handler may have left running.
func (c *jobContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}
