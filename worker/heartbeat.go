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
	lookEvery    = time.Second     // for handlers that do not return
	publishEvery = 5 * time.Second // the record that Sidekiq's web page shows
	stuckGrace   = time.Second     // for a handler to return after its context ended
)

// heartbeat publishes the process, obeys what is told to it through Redis, and looks after
// handlers that do not return. It is the last to stop; the lease has a loop of its own.
type heartbeat struct {
	runner *Runner
	log    *slog.Logger
	record queue.ProcessRecord // what does not change
	quiet  atomic.Bool
	turned atomic.Int64 // when the loop last turned over, in Unix milliseconds
	stuck  atomic.Int64 // handlers that should have returned

	replace func(*slot) // gives the capsule of a stuck handler another thread

	// The rest is written by Run alone, but for paused.
	shown     *queue.Owner // whose record is on the page
	published time.Time
	rtt       time.Duration
	counts    queue.Counts // of a flush that has not been confirmed
	counted   bool         // counts holds one
	metrics   map[string]*queue.ClassMetrics
	paused    []string // written by obey alone
}

// Run publishes until ctx ends.
func (h *heartbeat) Run(ctx context.Context) error {
	h.metrics = map[string]*queue.ClassMetrics{}
	calls := context.WithoutCancel(ctx)
	for {
		h.turned.Store(time.Now().UnixMilli())
		if h.shown != h.runner.owners.current() ||
			time.Since(h.published) >= publishEvery-lookEvery/2 {
			h.tryPublish(calls)
		}
		h.watch()
		if !sleep(ctx, jittered(lookEvery)) {
			return nil
		}
	}
}

func (h *heartbeat) tryPublish(ctx context.Context) {
	failpoint.Hit("heartbeat_mid")
	owner := h.runner.owners.current()
	if err := h.publish(ctx, owner); err != nil {
		h.runner.outage.failed("publish", err)
		return
	}
	h.runner.outage.worked("publish")
	if h.shown != nil && h.shown != owner {
		h.shown.Retire(ctx) // if it fails, the old record expires by itself
	}
	h.shown = owner
}

// obey carries out what was told to this process through Redis. It does not block: it runs on
// the loop that keeps the lease.
func (h *heartbeat) obey(o queue.Orders) {
	for _, signal := range o.Signals {
		switch signal {
		case "TSTP", "USR1":
			h.runner.Quiet()
		case "TERM", "INT":
			h.runner.Stop()
		case "TTIN":
			h.runner.Dump()
		default:
			h.log.Warn("a signal that is not known: ignored", "signal", signal)
		}
	}
	slices.Sort(o.Paused)
	if !slices.Equal(o.Paused, h.paused) {
		h.paused = o.Paused
		h.log.Info("paused queues", "queues", join(o.Paused))
	}
	h.runner.ledger.setPaused(o.Paused)
}

// publish writes the record and flushes what was counted. Counts are given up only when
// Redis has confirmed them.
func (h *heartbeat) publish(ctx context.Context, owner *queue.Owner) error {
	if !h.counted {
		h.counts = queue.Counts{Flush: h.counts.Flush + 1,
			Processed: h.runner.processor.processed.Swap(0),
			Failed:    h.runner.processor.failed.Swap(0)}
		h.counted = true
	}
	r := h.record
	r.Identity, r.Quiet, r.RTT, r.RSS, r.Work = owner.Identity, h.quiet.Load(), h.rtt,
		residentKiB(), h.runner.work()
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
	if !known {
		for _, hook := range h.runner.config.Hooks.Heartbeat {
			h.runner.callbacks.later("heartbeat hook", hook)
		}
	}
	for _, s := range h.runner.slots() {
		s.drainMetrics(h.metrics)
	}
	if err := h.runner.store.FlushMetrics(ctx, h.metrics, time.Now()); err == nil {
		clear(h.metrics)
	} // else a full Redis refuses them: they are kept, and flushed with the next
	return nil
}

// leave is the last word to Redis: what was counted, then the end of the record, and last
// the end of the lease, if everything is settled. Otherwise the lease ends by itself: a
// reclaimer would take what is finished here and not settled.
func (h *heartbeat) leave(ctx context.Context) {
	o := h.runner.owners
	owner := o.current()
	var wait backoff
	for {
		err := errors.Join(h.publish(ctx, owner), owner.Retire(ctx))
		if err == nil && h.runner.ledger.settled() {
			err = owner.Leave(ctx, o.host, o.queues)
		}
		if err == nil {
			return
		}
		if !sleep(ctx, wait.next()) {
			h.log.Warn("Redis was not told of the end of this process: a reclaimer takes what "+
				"was in flight when the lease ends", "err", err)
			return
		}
	}
}

// watch reports handlers that did not return when their time was over, and gives their
// capsules other threads. With too many of them the process is of no use.
func (h *heartbeat) watch() {
	now, n := time.Now(), int64(0)
	var fresh []*slot
	for _, s := range h.runner.slots() {
		s.mu.Lock()
		late := s.delivery != nil && !s.overdue.IsZero() && now.After(s.overdue.Add(stuckGrace))
		if late && !s.stuck {
			fresh = append(fresh, s)
		}
		s.stuck = late
		s.mu.Unlock()
		if late {
			n++
		}
	}
	for _, s := range fresh {
		s.mu.Lock()
		class, ran, goroutine := s.class, now.Sub(s.started), s.goroutine
		s.mu.Unlock()
		h.log.Error("stuck: the handler ignores its context past its time, "+
			"another thread takes its place", "class", class, "tid", s.tid,
			"ran", ran.Round(time.Millisecond), "stack", stackOf(goroutine))
	}
	h.stuck.Store(n) // before others take their place: their jobs may ask
	for _, s := range fresh {
		h.replace(s)
	}
	if limit := h.runner.config.MaxStuck; limit > 0 && n >= int64(limit) {
		h.runner.giveUp(fmt.Errorf("%w: %d of %d threads", ErrStuck, n, h.runner.config.Threads()))
	}
}

// residentKiB is the memory that the process has in RAM.
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
