package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// recentKept is how many runs a process keeps, of all its threads together.
const recentKept = 1000

// recent is the last runs of a process, for people who ask what its threads did. Its memory never
// grows, and a run that is added allocates nothing. It touches no job: nothing depends on it.
type recent struct {
	next atomic.Uint64 // the number of the next run, from 0; slots add
	ring [recentKept]recentRun
}

// recentRun is a place of the ring. Its texts belong to the process, not to a payload: a payload
// would stay in memory with them.
type recentRun struct {
	mu      sync.Mutex // guards the rest; slots write, publish reads
	number  uint64     // of the run, from 1; 0: the place is empty
	tid     string
	queue   string
	class   string
	outcome Outcome
	started int64 // in Unix microseconds
	took    time.Duration
	jid     [maxRecentJID]byte
	jidLen  uint8
}

// maxRecentJID is the length of a UUID. Sidekiq's JIDs have 24 bytes. A longer one is left out.
const maxRecentJID = 36

// add adds a run that has ended.
func (l *recent) add(s *slot, r *run, outcome Outcome, took time.Duration) {
	n := l.next.Add(1)
	e := &l.ring[(n-1)%recentKept]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.number > n { // a thread that stood still meanwhile: its run is no longer among the last
		return
	}
	e.number, e.tid, e.queue, e.class = n, s.tid, r.entry.Queue, r.class
	e.outcome, e.started, e.took = outcome, r.start.UnixMicro(), took
	e.jidLen = 0
	if len(r.job.JID) <= maxRecentJID {
		e.jidLen = uint8(copy(e.jid[:], r.job.JID))
	}
}

// list returns the runs, in no order.
func (l *recent) list() []queue.RunRecord {
	list := make([]queue.RunRecord, 0, recentKept)
	for i := range l.ring {
		e := &l.ring[i]
		e.mu.Lock()
		if e.number > 0 {
			list = append(list, queue.RunRecord{TID: e.tid, Queue: e.queue, Class: e.class,
				JID: string(e.jid[:e.jidLen]), Started: time.UnixMicro(e.started), Took: e.took,
				Outcome: string(e.outcome)})
		}
		e.mu.Unlock()
	}
	return list
}

// publishRuns writes the last runs of the process, and those that go on, to Redis.
func (h *heartbeat) publishRuns(ctx context.Context) {
	now, list := time.Now(), h.runner.processor.recent.list()
	var threads []string
	for _, s := range h.runner.slots() {
		threads = append(threads, s.tid)
		if r, running := s.current(now); running {
			list = append(list, r)
		}
	}
	err := h.shard.owners.current().PublishRuns(ctx, threads, list, now)
	if err != nil {
		h.log.Warn("Redis does not take what the threads ran lately, for which somebody asked",
			"err", err)
	}
}
