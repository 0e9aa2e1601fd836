package worker

import (
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// slot is one of the threads of a capsule: a goroutine that runs one job at a time.
type slot struct {
	tid      string        // newSlot writes it
	wake     chan struct{} // takes one value; the pool sends it when there is a job
	replaced bool          // another slot has its place; guarded by the ledger's mutex

	// mu guards the rest. The slot's goroutine writes all of it; the heartbeat writes stuck and
	// metrics; the heartbeat and Status read.
	mu        sync.Mutex
	delivery  *queue.Delivery                  // of the job that runs; nil between two jobs
	class     string                           // of the job that runs
	started   time.Time                        // when the job that runs started
	overdue   time.Time                        // when the handler should return; zero: no limit
	stuck     bool                             // that handler was reported as stuck
	goroutine string                           // its name in a dump of all stacks: "goroutine 12"
	metrics   []map[string]*queue.ClassMetrics // by shard
}

func newSlot(tid string) *slot {
	return &slot{tid: tid, wake: make(chan struct{}, 1)}
}

// begin notes that a job runs.
func (s *slot) begin(d *queue.Delivery, class string, now, overdue time.Time) {
	s.mu.Lock()
	s.delivery, s.class, s.started, s.overdue, s.stuck = d, class, now, overdue, false
	s.mu.Unlock()
}

// end notes that the handler has returned. counted says that the run belongs in the metrics of the
// shard.
func (s *slot) end(shard int, elapsed time.Duration, failed, counted bool) {
	s.mu.Lock()
	if counted {
		classes := s.metricsOf(shard)
		m := classes[s.class]
		if m == nil {
			m = &queue.ClassMetrics{}
			classes[s.class] = m
		}
		m.Add(elapsed, failed)
	}
	s.delivery, s.class, s.started, s.overdue = nil, "", time.Time{}, time.Time{}
	s.mu.Unlock()
}

// late reports whether the handler that runs has not returned although its time was over stuckGrace
// before now, and whether this is the first call that finds this.
func (s *slot) late(now time.Time) (late, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limited := s.delivery != nil && !s.overdue.IsZero()
	late = limited && now.After(s.overdue.Add(stuckGrace))
	first = late && !s.stuck
	s.stuck = late
	return late, first
}

// work returns the job that runs, as Sidekiq's Busy page shows it. With a store it must be a job of
// that shard.
func (s *slot) work(of *queue.Store) (w queue.WorkRecord, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivery == nil || of != nil && s.delivery.Owner.Store() != of {
		return w, false
	}
	return queue.WorkRecord{TID: s.tid, Queue: s.delivery.Queue, Payload: s.delivery.Raw,
		RunAt: s.started}, true
}

// current returns the run that goes on.
func (s *slot) current(now time.Time) (r queue.RunRecord, running bool) {
	s.mu.Lock()
	if s.delivery == nil {
		s.mu.Unlock()
		return r, false
	}
	raw := s.delivery.Raw
	r = queue.RunRecord{TID: s.tid, Queue: s.delivery.Queue, Class: s.class, Started: s.started,
		Took: now.Sub(s.started), Outcome: queue.OutcomeRunning}
	s.mu.Unlock()
	if j, err := envelope.ParseJob(raw); err == nil && len(j.JID) <= maxRecentJID {
		r.JID = j.JID
	}
	return r, true
}

// metricsOf returns the metrics of a shard. The caller holds the mutex.
func (s *slot) metricsOf(shard int) map[string]*queue.ClassMetrics {
	for len(s.metrics) <= shard {
		s.metrics = append(s.metrics, map[string]*queue.ClassMetrics{})
	}
	return s.metrics[shard]
}

// drainMetrics moves the slot's metrics of a shard into m.
func (s *slot) drainMetrics(shard int, m map[string]*queue.ClassMetrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	classes := s.metricsOf(shard)
	mergeMetrics(m, classes)
	clear(classes)
}
