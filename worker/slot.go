package worker

import (
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// slot is one of a capsule's threads: a goroutine that runs one job at a time.
type slot struct {
	tid      string
	wake     chan struct{} // takes one; rings when the pool wants it to look for a job
	replaced bool          // another has its place; guarded by the ledger's mutex

	mu        sync.Mutex      // guards the rest: the thread writes, heartbeat and status read
	delivery  *queue.Delivery // that runs; nil between two jobs
	class     string
	started   time.Time
	overdue   time.Time // when the handler should have returned; zero if it may run on
	stuck     bool      // has been reported
	goroutine string    // "goroutine 12", to find its stack
	metrics   map[string]*queue.ClassMetrics
}

func newSlot(tid string) *slot {
	return &slot{tid: tid, wake: make(chan struct{}, 1), metrics: map[string]*queue.ClassMetrics{}}
}

// begin notes that a job runs.
func (s *slot) begin(d *queue.Delivery, class string, now, overdue time.Time) {
	s.mu.Lock()
	s.delivery, s.class, s.started, s.overdue, s.stuck = d, class, now, overdue, false
	s.mu.Unlock()
}

// end notes that the handler has returned. counted tells whether its run is one for the
// metrics.
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
	s.delivery, s.class, s.started, s.overdue = nil, "", time.Time{}, time.Time{}
	s.mu.Unlock()
}

// work is the job that runs, as the Busy page shows it.
func (s *slot) work() (w queue.WorkRecord, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivery == nil {
		return w, false
	}
	return queue.WorkRecord{TID: s.tid, Queue: s.delivery.Queue, Payload: s.delivery.Raw,
		RunAt: s.started}, true
}

// drainMetrics moves what the slot has measured into m.
func (s *slot) drainMetrics(m map[string]*queue.ClassMetrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for class, one := range s.metrics {
		if m[class] == nil {
			m[class] = &queue.ClassMetrics{}
		}
		m[class].Merge(one)
	}
	clear(s.metrics)
}
