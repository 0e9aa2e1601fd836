package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

const (
	lookEvery    = time.Second     // the time between two looks for stuck handlers
	publishEvery = 5 * time.Second // the time between two writes of the process's record
	stuckGrace   = time.Second     // how long a handler gets to return after its time is over
)

// heartbeat writes the record of the process to the Redis of a shard, and obeys the signals that
// come through it. That of the first shard also replaces the threads of handlers that do not
// return, and calls the hooks. It stops last. The lease has a loop of its own (ownership).
type heartbeat struct {
	runner *Runner             // New writes it
	shard  *shard              // New writes it
	log    *slog.Logger        // New writes it
	record queue.ProcessRecord // the parts that do not change; New writes it
	asked  chan struct{}       // obey notifies the loop: somebody wants the last runs

	turned atomic.Int64 // when the loop last turned, in Unix milliseconds; the watchdog reads it

	// Only the loop of Run reads and writes these.
	shown     *queue.Owner  // the identity whose record is in Redis; nil before the first
	published time.Time     // when the record was last written
	rtt       time.Duration // how long that took
	counts    queue.Counts  // a flush that Redis has not confirmed, if counted
	counted   bool          // counts has such a flush
	metrics   map[string]*queue.ClassMetrics

	paused []string // the paused queues, sorted; only obey, on the loop of the lease, uses it
}

// Run writes the record, and looks for stuck handlers, until ctx ends.
func (h *heartbeat) Run(ctx context.Context) error {
	h.metrics = map[string]*queue.ClassMetrics{}
	calls := context.WithoutCancel(ctx)
	for {
		h.turned.Store(time.Now().UnixMilli())
		if h.shown != h.shard.owners.current() ||
			time.Since(h.published) >= publishEvery-lookEvery/2 {
			h.tryPublish(calls)
		}
		if h.leads() {
			h.watch()
		}
		if !h.rest(ctx) {
			return nil
		}
	}
}

// leads reports whether this is the heartbeat of the first shard, which does what concerns the
// process and not a shard.
func (h *heartbeat) leads() bool { return h.shard == h.runner.shards[0] }

// rest waits for the next look. Meanwhile it publishes the last runs for those who ask. It returns
// false if ctx ends.
func (h *heartbeat) rest(ctx context.Context) bool {
	look := time.NewTimer(jittered(lookEvery))
	defer look.Stop()
	for {
		select {
		case <-h.asked:
			h.publishRuns(context.WithoutCancel(ctx))
		case <-look.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// tryPublish writes the record, and removes the record of an identity before.
func (h *heartbeat) tryPublish(ctx context.Context) {
	failpoint.Hit("heartbeat_mid")
	owner := h.shard.owners.current()
	if err := h.publish(ctx, owner); err != nil {
		h.shard.outage.failed("publish", err)
		return
	}
	h.shard.outage.worked("publish")
	if h.shown != nil && h.shown != owner {
		h.shown.Retire(ctx) // if it fails, the old record expires by itself
	}
	h.shown = owner
}

// obey carries out the signals and pauses that a beat brought. It must not block, because it runs
// on the loop that extends the lease.
func (h *heartbeat) obey(o queue.Orders) {
	for _, signal := range o.Signals {
		switch signal {
		case "TSTP", "USR1":
			h.runner.Quiet()
		case "TERM", "INT":
			h.runner.Stop()
		case "TTIN":
			h.runner.Dump()
		case queue.SignalRuns:
			notify(h.asked)
		default:
			h.log.Warn("ignored an unknown signal", "signal", signal)
		}
	}
	slices.Sort(o.Paused)
	if !slices.Equal(o.Paused, h.paused) {
		h.paused = o.Paused
		h.log.Info("paused queues", "queues", join(o.Paused))
	}
	h.shard.ledger.setPaused(o.Paused)
}

// publish writes the record, and adds the counts and metrics in Redis. It keeps counts until Redis
// has confirmed them.
func (h *heartbeat) publish(ctx context.Context, owner *queue.Owner) error {
	if !h.counted {
		h.counts = queue.Counts{Flush: h.counts.Flush + 1,
			Processed: h.shard.ledger.processed.Swap(0),
			Failed:    h.shard.ledger.failed.Swap(0),
			Expired:   h.shard.ledger.expired.Swap(0)}
		h.counted = true
	}
	r := h.record
	r.Identity, r.Quiet, r.RTT, r.RSS, r.Work = owner.Identity, h.runner.quiet.Load(), h.rtt,
		residentKiB(), h.runner.work(h.shard.store)
	r.Stuck = int(h.runner.stuck.Load())
	if turned := h.runner.Turned(); turned.UnixMilli() > 0 { // every loop has begun a turn
		r.Turned = turned
	}
	start := time.Now()
	known, err := owner.Publish(ctx, r, h.counts, start)
	if err != nil {
		return err
	}
	failpoint.Hit("stats_flush")
	h.counted, h.published, h.rtt = false, time.Now(), time.Since(start)
	if limit := h.runner.config.MaxRSS; limit > 0 && int64(r.RSS)*1024 > limit {
		h.runner.giveUp(fmt.Errorf("%w: %d MiB are in use, more than %d", ErrMemory,
			r.RSS/1024, limit>>20))
	}
	if !known && h.leads() {
		for _, hook := range h.runner.config.Hooks.Heartbeat {
			h.runner.callbacks.later("heartbeat hook", hook)
		}
	}
	h.flushMetrics(ctx)
	return nil
}

// flushMetrics adds the metrics of all slots to those in Redis. If Redis refuses them, because it
// is full, they are kept for the next flush.
func (h *heartbeat) flushMetrics(ctx context.Context) {
	h.drainMetrics()
	if h.shard.store.FlushMetrics(ctx, h.metrics, time.Now()) == nil {
		clear(h.metrics)
	}
}

// drainMetrics takes the metrics of all slots, for the next flush and for the history.
func (h *heartbeat) drainMetrics() {
	fresh := map[string]*queue.ClassMetrics{}
	for _, s := range h.runner.slots() {
		s.drainMetrics(h.shard.ledger.shard, fresh)
	}
	h.shard.historian.add(fresh)
	mergeMetrics(h.metrics, fresh)
}

// leave writes the last counts, removes the record, and gives up the lease, if everything is
// settled. Otherwise it lets the lease end by itself: a reclaimer takes at once the jobs of an
// owner that gave up its lease, also those that ended here and are not settled.
func (h *heartbeat) leave(ctx context.Context) {
	o := h.shard.owners
	owner := o.current()
	var wait backoff
	for {
		err := errors.Join(h.publish(ctx, owner), owner.Retire(ctx))
		if err == nil && h.shard.ledger.settled() {
			err = owner.Leave(ctx, o.host, o.queues)
		}
		if err == nil {
			return
		}
		if !sleep(ctx, wait.next()) {
			h.log.Warn("Redis does not know that this process ends: a reclaimer takes the jobs "+
				"in flight when the lease ends", "err", err)
			return
		}
	}
}

// watch logs handlers that have not returned although their time is over, and gives their capsules
// other threads. If there are too many of them, the Runner gives up.
func (h *heartbeat) watch() {
	now, n := time.Now(), int64(0)
	var fresh []*slot
	for _, s := range h.runner.slots() {
		late, first := s.late(now)
		if late {
			n++
		}
		if first {
			fresh = append(fresh, s)
		}
	}
	for _, s := range fresh {
		s.mu.Lock()
		class, ran, goroutine := s.class, now.Sub(s.started), s.goroutine
		s.mu.Unlock()
		h.log.Error("stuck: the handler ignores its context past its time, "+
			"another thread takes its place", "class", class, "tid", s.tid,
			"ran", logSeconds(ran), "stack", stackOf(goroutine))
	}
	h.runner.stuck.Store(n) // before the other threads start: their jobs may read it
	for _, s := range fresh {
		h.runner.replaceSlot(s)
	}
	if limit := h.runner.config.MaxStuck; limit > 0 && n >= int64(limit) {
		h.runner.giveUp(fmt.Errorf("%w: %d of %d threads", ErrStuck, n, h.runner.config.Threads()))
	}
}

// residentKiB returns the memory that the process has in RAM, in KiB. 0: not known.
func residentKiB() int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() / 1024
}
