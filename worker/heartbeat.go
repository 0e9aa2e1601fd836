package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

const (
	beatEvery    = time.Second     // lease, remote signals, paused queues
	publishEvery = 5 * time.Second // the record that Sidekiq's web page shows
	stuckGrace   = time.Second     // for a handler to return after its context ended
)

// heartbeat keeps the lease, publishes the process, obeys remote signals, and
// looks after handlers that do not return. It is the last to stop.
type heartbeat struct {
	runner *Runner
	log    *slog.Logger
	record queue.ProcessRecord // what does not change
	quiet  atomic.Bool
	last   atomic.Int64 // when a beat last reached Redis, in Unix milliseconds
	turned atomic.Int64 // when the loop last turned over, likewise
	stuck  atomic.Int64 // handlers that should have returned

	replace func(*slot) // gives the capsule of a stuck handler another thread

	published time.Time
	rtt       time.Duration
	counts    queue.Counts // of a flush that has not been confirmed
	counted   bool         // counts holds one
	metrics   map[string]*queue.ClassMetrics
	paused    []string
}

// Run beats until ctx ends, then publishes what is left and takes the process
// off the page.
func (h *heartbeat) Run(ctx context.Context) error {
	h.metrics = map[string]*queue.ClassMetrics{}
	for {
		h.turned.Store(time.Now().UnixMilli())
		h.beat(context.WithoutCancel(ctx))
		select {
		case owner := <-h.runner.owners.gone:
			h.renew(context.WithoutCancel(ctx), owner)
		case <-time.After(jittered(beatEvery)):
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return h.leave(last)
		}
	}
}

func (h *heartbeat) beat(ctx context.Context) {
	owner := h.runner.owners.current()
	orders, err := owner.Beat(ctx, h.runner.owners.lease)
	if errors.Is(err, queue.ErrLeaseLost) {
		h.renew(ctx, owner)
		return
	}
	if err == nil {
		h.obey(orders)
		if time.Since(h.published) >= publishEvery-beatEvery/2 {
			failpoint.Hit("heartbeat_mid")
			err = h.publish(ctx, owner)
		}
	}
	h.watch()
	if err != nil {
		h.runner.outage.failed("beat", err)
		return
	}
	h.last.Store(time.Now().UnixMilli())
	h.runner.outage.worked("beat")
}

// renew takes a new identity after owner was declared dead: the process was
// stopped, or cut off, for longer than its lease.
func (h *heartbeat) renew(ctx context.Context, owner *queue.Owner) {
	if owner != h.runner.owners.current() {
		return // it has been renewed already
	}
	h.log.Error("the lease of this process is lost: others have its jobs, the contexts of those that run here are cancelled", "identity", owner.Identity)
	if err := h.runner.owners.take(ctx); err != nil {
		h.runner.outage.failed("beat", err)
		return
	}
	h.published = time.Time{}
	owner.Retire(ctx) // if it fails, the old record expires by itself
	h.log.Warn("goes on under a new identity", "identity", h.runner.owners.current().Identity)
}

// obey carries out what was told to this process through Redis.
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
	if strings.Join(o.Paused, "\n") != strings.Join(h.paused, "\n") {
		h.paused = o.Paused
		h.log.Info("paused queues", "queues", strings.Join(o.Paused, ","))
		h.runner.setPaused(o.Paused)
	}
}

// publish writes the record and flushes what was counted. Counts are given up
// only when Redis has confirmed them.
func (h *heartbeat) publish(ctx context.Context, owner *queue.Owner) error {
	if !h.counted {
		h.counts = queue.Counts{Flush: h.counts.Flush + 1,
			Processed: h.runner.processor.processed.Swap(0), Failed: h.runner.processor.failed.Swap(0)}
		h.counted = true
	}
	r := h.record
	r.Identity, r.Quiet, r.RTT, r.RSS, r.Work = owner.Identity, h.quiet.Load(), h.rtt, residentKiB(), h.runner.work()
	start := time.Now()
	known, err := owner.Publish(ctx, r, h.counts, start)
	if err != nil {
		return err
	}
	failpoint.Hit("stats_flush")
	h.counted, h.published, h.rtt = false, time.Now(), time.Since(start)
	if limit := h.runner.config.MaxRSS; limit > 0 && int64(r.RSS)*1024 > limit {
		h.runner.giveUp(fmt.Errorf("%w: %d MiB are in use, more than %d", ErrMemory, r.RSS/1024, limit>>20))
	}
	if !known {
		h.runner.config.Hooks.run(ctx, h.log, "heartbeat", h.runner.config.Hooks.Heartbeat)
	}
	for _, s := range h.runner.slots() {
		s.drainMetrics(h.metrics)
	}
	if err := h.runner.store.FlushMetrics(ctx, h.metrics, time.Now()); err == nil {
		clear(h.metrics)
	} // else a full Redis refuses them: they are kept, and flushed with the next
	return nil
}

// leave is the last beat. It is tried until ctx ends.
func (h *heartbeat) leave(ctx context.Context) error {
	owner := h.runner.owners.current()
	var wait backoff
	for {
		err := errors.Join(h.publish(ctx, owner), owner.Retire(ctx), owner.Leave(ctx, h.runner.owners.host, h.runner.owners.queues))
		if err == nil {
			return nil
		}
		if !sleep(ctx, wait.next()) {
			h.log.Warn("left without a word to Redis: what was in flight will be reclaimed", "err", err)
			return nil
		}
	}
}

// watch reports handlers that did not return when their time was over, and gives
// their capsules other threads. With too many of them the process is of no use.
func (h *heartbeat) watch() {
	now, n := time.Now(), int64(0)
	for _, s := range h.runner.slots() {
		s.mu.Lock()
		late := s.delivery != nil && !s.overdue.IsZero() && now.After(s.overdue.Add(stuckGrace))
		fresh := late && !s.stuck
		s.stuck = late
		class, ran, goroutine := s.class, now.Sub(s.started), s.goroutine
		s.mu.Unlock()
		if late {
			n++
		}
		if fresh {
			h.replace(s)
			h.log.Error("stuck: the handler ignores its context past its time, another thread takes its place",
				"class", class, "tid", s.tid, "ran", ran.Round(time.Millisecond), "stack", stackOf(goroutine))
		}
	}
	h.stuck.Store(n)
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
