package worker

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// Quiet takes no more jobs, for good. Running jobs go on, and so does the process, until it is told
// to stop. After a Quiet before Run, Run takes no job.
func (r *Runner) Quiet() {
	if r.becomeQuiet() {
		r.log().Info("Received TSTP, no longer accepting new work")
	}
}

// becomeQuiet ends the intake, and reports whether this call was the first.
func (r *Runner) becomeQuiet() (first bool) {
	r.quietOnce.Do(func() {
		for _, s := range r.shards { // before the flag: a process that shows quiet takes no job
			s.ledger.quiet()
		}
		r.quiet.Store(true)
		close(r.quieted)
		first = true
	})
	return first
}

// Stop has Run stop, and returns at once. A second call cancels running jobs without waiting for
// Config.Timeout.
func (r *Runner) Stop() {
	first := false
	r.stopOnce.Do(func() { close(r.stopping); first = true })
	if !first {
		r.hurryOnce.Do(func() { close(r.hurry) })
	}
}

// Stopping returns a channel that is closed when the Runner was told to stop.
func (r *Runner) Stopping() <-chan struct{} { return r.stopping }

// await blocks until the Runner is to stop. It ends the intake when the Runner becomes quiet, and
// calls the quiet hooks and the shutdown hooks.
func (r *Runner) await(ctx context.Context, intake *tier) {
	select {
	case <-r.quieted:
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.becomeQuiet()
	intake.cancel()
	r.hooks(ctx, "quiet hook", r.config.Hooks.Quiet)
	select {
	case <-ctx.Done():
	case <-r.stopping:
	}
	r.stopOnce.Do(func() { close(r.stopping) }) // the end of ctx counts as a first Stop
	r.log().Info("Shutting down")
	r.hooks(ctx, "shutdown hook", r.config.Hooks.Shutdown)
}

// drain gives running jobs until the deadline, then cancels them and waits for Config.Grace. It
// reports whether all have ended.
func (r *Runner) drain(processors *errgroup.Group, abort context.CancelCauseFunc,
	deadline time.Time) bool {
	done := make(chan struct{})
	go func() { // ends with the last handler: Run cannot promise the end of this goroutine
		processors.Wait()
		close(done)
	}()
	if n := len(r.work(nil)); n > 0 {
		r.log().Info("Pausing to allow jobs to finish...", "busy", n, "timeout",
			logSeconds(r.config.Timeout))
	}
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-done:
		return true
	case <-timeout.C:
	case <-r.hurry:
	}
	if n := len(r.work(nil)); n > 0 {
		r.log().Warn("Terminating busy threads", "busy", n)
	}
	abort(ErrShutdown)
	grace := time.NewTimer(r.config.Grace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

// putBack puts jobs whose handlers ignore the end of their context back to their queues. They may
// run twice. The settlers carry it out; later results of these handlers are ignored.
func (r *Runner) putBack() {
	n := 0
	for _, s := range r.shards {
		n += s.ledger.abandon()
	}
	if n > 0 {
		r.log().Warn("Pushed jobs back to Redis: their handlers ignore the end of their context",
			"jobs", n)
	}
}

// giveUp stops the Runner in order, with an error, because only a new process can go on.
func (r *Runner) giveUp(err error) {
	r.mu.Lock()
	first := r.failed == nil
	if first {
		r.failed = err
	}
	r.mu.Unlock()
	if first {
		r.log().Error("gives up: a new process is needed", "err", err)
		r.Stop()
	}
}

// failure returns why the Runner gave up, or nil.
func (r *Runner) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}
