package worker

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// runsFlush is a flush of classes.
type runsFlush struct {
	sent  map[string]*queue.ClassMetrics // nil: none is under way
	flush queue.Flush
	owner *queue.Owner
	since time.Time // when it was first sent
}

// add takes the runs of classes since the last call.
func (h *historian) add(byClass map[string]*queue.ClassMetrics) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mergeMetrics(h.classes, byClass)
}

// mergeMetrics adds the metrics of b to those of a.
func mergeMetrics(a, b map[string]*queue.ClassMetrics) {
	for class, m := range b {
		if a[class] == nil {
			a[class] = &queue.ClassMetrics{}
		}
		a[class].Merge(m)
	}
}

// flushRuns writes the history of classes, in pages. A page that Redis did not confirm is sent
// again by the next call.
func (h *historian) flushRuns(ctx context.Context) {
	h.turns = 0
	for h.takeRuns() {
		r := &h.runs
		call, cancel := context.WithTimeout(ctx, historyWithin)
		without, broken, err := r.owner.FlushRuns(call, r.flush, r.sent)
		cancel()
		h.tell("classes", err == nil && without > 0, "there are too many classes: these have no "+
			"history", "without", without, "most", queue.MaxHistoryClasses)
		h.tell("wrong type of classes", broken > 0, "no history of classes is written to keys of "+
			"a wrong type: rename or delete them", "classes", broken)
		h.tell("refused classes", redisdb.Rejected(err), "Redis refuses the history of classes, "+
			"which is lost: allow this user the keys kyu:* that docs/redis.md names", "err", err)
		switch {
		case err == nil || redisdb.Rejected(err):
			r.sent = nil
		default:
			return
		}
	}
}

// takeRuns prepares the next flush of classes, unless one is to be sent again. It reports whether
// there is one.
func (h *historian) takeRuns() bool {
	r := &h.runs
	if r.sent != nil && time.Since(r.since) < historyKept {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.sent = nil; len(h.classes) == 0 {
		return false
	}
	r.sent, r.owner, r.since = map[string]*queue.ClassMetrics{}, h.owner(), time.Now()
	h.number++
	r.flush = queue.Flush{Field: "classes", Number: h.number}
	for class, m := range h.classes {
		if len(r.sent) == queue.MaxHistoryRuns {
			break
		}
		r.sent[class] = m
		delete(h.classes, class)
	}
	return true
}
