package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// run is one delivery that a thread runs, from its payload to its settlement. Only that thread
// reads and writes the fields.
type run struct {
	*processor
	entry   *protocol.Entry
	ledger  *ledger // of the shard from which the delivery came
	slot    *slot
	epoch   context.Context // ends when the worker stops or its lease is lost
	job     *queue.Job      // nil: the payload is not a job
	class   string          // for metrics: UnknownClass if there is no handler
	handler *entry          // nil: the class has no handler here
	ctx     *jobContext     // nil before dispatch
	start   time.Time
}

// process runs the delivery, if it may run, and settles it. A suspect waits for its turn to run
// alone.
func (r *run) process() {
	j, err := envelope.ParseJob(r.entry.Raw)
	if err != nil {
		r.log.Error("not a job: it goes to the dead set", "queue", r.entry.Queue, "err", err)
		r.class = UnknownClass
		d := decideBytes(r.entry.Raw, r.start)
		r.conclude(&d, 0)
		r.callbacks.tellError(r.epoch, r.onError, err, nil)
		return
	}
	r.job = j
	if !r.poison.Suspect(j) {
		r.dispatch()
		return
	}
	r.log.Warn("workers died while this job was in flight: it waits for a turn to run alone",
		"class", j.DisplayClass(), "jid", j.JID)
	alone := func() {
		r.start = time.Now() // the job may have waited for its turn
		r.dispatch()
	}
	if !r.quarantine.run(r.epoch, r.ledger, r.entry, alone) {
		r.settle(&decidedRequeue)
	}
}

// dispatch finds the handler and runs it, unless the job expired, or its class has no handler and
// the policy holds or forwards the job.
func (r *run) dispatch() {
	class, _ := r.job.Unwrapped()
	// The handler's copy of the name: the job's own is a part of the payload, and metrics would
	// keep the whole payload in memory.
	r.class = UnknownClass
	if r.handler = r.handlers[class]; r.handler != nil {
		r.class = r.handler.class
	}
	r.ctx = &jobContext{Context: r.epoch, job: r.job, env: r.env, log: withLevel(r.log, r.job),
		delivery: &r.entry.Delivery, slot: r.slot}
	if r.handler == nil {
		if d, ok := r.unknown.decide(r.job, r.entry.Queue, class, r.start); ok {
			r.ctx.logger().Log(r.epoch, r.unknown.level(), "its class has no handler here",
				"unknown", r.unknown.String())
			r.conclude(&d, 0)
			return
		}
	}
	if expired(r.job, r.start) {
		r.ctx.logger().Warn("expired: discarded")
		r.ledger.expired.Add(1)
		r.conclude(&decidedExpired, 0)
		return
	}
	jobLog := r.jobLog && r.ctx.log.Enabled(r.epoch, slog.LevelInfo)
	if jobLog {
		r.ctx.logger().Info("start")
	}
	returned := false
	defer func() {
		if !returned {
			r.finish(jobLog, newPanicError("the handler called runtime.Goexit"))
		}
	}()
	err := r.execute(class)
	returned = true
	r.finish(jobLog, err)
}

// execute calls the handler, if the job may run, and returns the error of the run.
func (r *run) execute(class string) error {
	d, now := &r.entry.Delivery, r.start
	if r.handler == nil {
		r.slot.begin(d, class, now, time.Time{})
		return &UnknownClassError{class, r.classes}
	}
	if err := refusal(r.job, r.batches); err != nil {
		return err
	}
	failpoint.Hit("before_run")
	limit, cause := runLimit(r.job, r.handler.Options, now)
	r.slot.begin(d, r.class, now, limit)
	if err := pastDeadline(r.job, r.handler.Options, now); err != nil {
		return err
	}
	if limit.IsZero() {
		return call(r.ctx, r.handler.handler, r.job)
	}
	timed, cancel := context.WithDeadlineCause(r.ctx, limit, cause)
	defer cancel()
	err := call(timed, r.handler.handler, r.job)
	if err != nil && context.Cause(timed) == cause {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// finish ends a run whose handler returned err. It decides and settles first, and calls error and
// death handlers last: one that hangs delays the thread, but not the job.
func (r *run) finish(jobLog bool, err error) {
	elapsed := time.Since(r.start)
	d := r.decide(err)
	switch d.settle.Action {
	case queue.Done:
		failpoint.Hit("run_ok_before_ack")
	case queue.Retry:
		failpoint.Hit("retry_before")
	case queue.Requeue:
		failpoint.Hit("requeue_on_stop")
	}
	// A job that no handler ran is not in the metrics (docs/wire.md 3.4).
	r.slot.end(r.ledger.shard, elapsed, d.failed, r.handler != nil && !isRefused(err))
	r.recent.add(r.slot, r, d.told, elapsed)
	r.ctx.end()
	r.count(&d)
	r.conclude(&d, elapsed)
	if jobLog {
		logDecision(r.ctx.logger(), &d, err, elapsed)
	}
	if d.failed {
		r.callbacks.tellError(r.epoch, r.onError, err, r.job)
	}
	if d.died {
		r.callbacks.tellDeath(r.epoch, r.onDeath, r.job, d.payload, err)
	}
}

// decide computes the outcome of the job after a run that ended with err. If the owner lost its
// lease, the job may run elsewhere: Redis carries out the decision only if no other worker has
// taken the job. An error whose own methods panic counts as a failure with that panic.
func (r *run) decide(err error) (d decision) {
	if err == nil {
		return decidedDone
	}
	pol := r.policy
	if r.handler != nil {
		pol.Options = r.handler.Options
	}
	decide := func() {
		if r.entry.Sourced {
			var closed bool
			if d, closed = decideClosed(err, time.Now()); closed {
				return
			}
		}
		d = pol.decide(r.job, r.entry.Queue, err, interrupted(r.epoch), time.Now())
	}
	if panicked := guardedDecision(decide); panicked != nil {
		err = panicked
		decide()
	}
	return d
}

// conclude settles the delivery and tells the observer. ran is how long the run took.
func (r *run) conclude(d *decision, ran time.Duration) {
	r.settle(d)
	if r.observer == nil {
		return
	}
	waited := time.Duration(0)
	if r.job != nil {
		waited = r.job.Waited(r.start)
	}
	r.observer.Ran(JobRun{Queue: r.entry.Queue, Class: r.class, Outcome: d.told, Waited: waited,
		Ran: ran})
}

// settle hands the decision to the ledger, which keeps the delivery until Redis has confirmed it.
func (r *run) settle(d *decision) {
	effects, err := r.entry.Owner.Effects(r.job, d.event)
	if err != nil {
		r.log.Error("not everything that a job holds can be released", "queue", r.entry.Queue,
			"err", err)
	}
	if d.settle.Action == queue.Done && len(effects) == 0 {
		// Most jobs: nothing is allocated, and a fetch may take the result along.
		r.ledger.finish(r.entry, nil)
		return
	}
	x := new(queue.Settlement) // a copy, which the ledger keeps: most decisions need no memory
	*x = d.settle
	x.Delivery, x.Effects = &r.entry.Delivery, effects
	r.ledger.finish(r.entry, x)
}

// count counts a run as Sidekiq does: a failure counts as processed too. A job that goes back or is
// put off does not count, because it has not run to an end.
func (r *run) count(d *decision) {
	switch d.settle.Action {
	case queue.Requeue, queue.Schedule, queue.Forward:
		return
	}
	r.ledger.processed.Add(1)
	if d.failed {
		r.ledger.failed.Add(1)
	}
}

// runLimit returns when a run that begins now must end, and the cause with which its context ends
// then. limit is zero if the run has no limit.
func runLimit(j *queue.Job, o Options, now time.Time) (limit time.Time, cause error) {
	if o.Timeout > 0 {
		limit, cause = now.Add(o.Timeout), ErrTimeout
	}
	if o.Deadline <= 0 {
		return limit, cause
	}
	if created := j.Time("created_at"); !created.IsZero() {
		if end := created.Add(o.Deadline); limit.IsZero() || end.Before(limit) {
			limit, cause = end, ErrDeadline
		}
	}
	return limit, cause
}

// call calls a handler. A panic becomes its error.
func call(ctx context.Context, h Handler, j *queue.Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return h(ctx, j)
}
