package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

// ErrorHandler is told of every failure: of a job's (j is its envelope), or of
// bytes that are no job (j is nil).
type ErrorHandler func(ctx context.Context, err error, j *queue.Job)

// DeathHandler is told of a job that will not run again: its retries are
// exhausted, it was killed or discarded, or it asked not to be retried.
type DeathHandler func(ctx context.Context, j *queue.Job, err error)

// processor runs jobs: it is what the slots of all capsules share.
type processor struct {
	handlers map[string]*entry
	classes  []string
	policy   policy
	log      *slog.Logger
	jobLog   bool
	onError  []ErrorHandler
	onDeath  []DeathHandler
	env      *environment
	unknown  Unknown
	batches  bool // jobs of Sidekiq Pro's batches may run
	observer Observer

	poison     queue.Poison
	quarantine *quarantine

	processed, failed atomic.Int64
}

// run lets s run jobs until there are no more; done tells that it has just run
// one. A handler that calls runtime.Goexit ends the goroutine, and nothing can stop
// that: then goOn is called, for another goroutine to run s.
func (p *processor) run(s *slot, pool *pool, settler *settler, epoch func() context.Context, done bool, goOn func()) error {
	s.mu.Lock()
	s.goroutine = goroutineName()
	s.mu.Unlock()
	settle := func(x queue.Settlement) {
		settler.add(x) // from here on the settler holds it: it is never in no hands
		s.hold(nil)
	}
	exited := true
	defer func() {
		if exited {
			goOn()
		}
	}()
	for d := pool.next(s, done); d != nil; d = pool.next(s, true) {
		failpoint.Hit("registered")
		settle(p.process(epoch(), s, d, settle))
	}
	exited = false
	return nil
}

// process runs one delivery and says what becomes of it, to its caller, or to
// settle if the handler calls runtime.Goexit, for then it does not return.
func (p *processor) process(epoch context.Context, s *slot, d *queue.Delivery, settle func(queue.Settlement)) queue.Settlement {
	now := time.Now()
	j, err := queue.ParseJob(d.Raw)
	if err != nil {
		p.log.Error("not a job: it goes to the dead set as it is", "queue", d.Queue, "err", err)
		p.tellError(epoch, err, nil)
		if p.observer != nil {
			p.observer.Ran(JobRun{Queue: d.Queue, Class: UnknownClass, Outcome: OutcomeDead})
		}
		return queue.Settlement{Delivery: d, Action: queue.Dead, Payload: d.Raw, At: now}
	}
	if p.poison.Suspect(j) {
		if !p.quarantine.enter(epoch, d) {
			return queue.Settlement{Delivery: d, Action: queue.Requeue}
		}
		defer p.quarantine.leave()
		p.log.Warn("workers died with this job in their hands: it runs alone", "class", j.DisplayClass(), "jid", j.JID)
	} else if p.quarantine.closed(d) {
		return queue.Settlement{Delivery: d, Action: queue.Requeue}
	}
	class, _ := j.Unwrapped()
	e := p.handlers[class]
	ctx := &jobContext{Context: epoch, job: j, env: p.env, log: withLevel(p.log, j), delivery: d, slot: s}
	jobLog := p.jobLog && ctx.log.Enabled(epoch, slog.LevelInfo)
	if e == nil {
		if x, ok := p.unknown.settle(j, d, class, now); ok {
			ctx.logger().Warn("its class is not known here", "unknown", p.unknown.String())
			p.observe(j, UnknownClass, d, p.unknown.outcome(), now, 0)
			return x
		}
	}
	if expired(j, now) {
		ctx.logger().Warn("expired: discarded")
		p.observe(j, class, d, OutcomeExpired, now, 0)
		return queue.Settlement{Delivery: d, Action: queue.Done}
	}
	if jobLog {
		ctx.logger().Info("start")
	}
	returned := false
	defer func() {
		if !returned {
			settle(p.finish(ctx, e, class, now, jobLog, newPanicError("the handler called runtime.Goexit")))
		}
	}()
	err = p.execute(ctx, s, j, e, class, now)
	returned = true
	return p.finish(ctx, e, class, now, jobLog, err)
}

// finish concludes a run that has ended with err, and tells who wants to know.
func (p *processor) finish(ctx *jobContext, e *entry, class string, now time.Time, jobLog bool, err error) queue.Settlement {
	epoch, j, d, s := ctx.Context, ctx.job, ctx.delivery, ctx.slot
	elapsed := time.Since(now)
	out := p.conclude(epoch, j, e, d, err)
	switch out.action {
	case queue.Done:
		failpoint.Hit("run_ok_before_ack")
	case queue.Retry:
		failpoint.Hit("retry_before")
	case queue.Requeue:
		failpoint.Hit("requeue_on_stop")
	}
	s.end(elapsed, out.failed, e != nil && !isRefused(err)) // what no handler ran is in no metrics (sidekiq-wire 3.4)
	ctx.end()
	p.count(out)
	if jobLog {
		logOutcome(ctx.logger(), out, err, elapsed)
	}
	if out.failed {
		p.tellError(epoch, err, j)
	}
	if out.died {
		p.tellDeath(epoch, j, out, err)
	}
	x := queue.Settlement{Delivery: d, Action: out.action, Payload: out.payload, At: out.at, To: out.to}
	if e == nil {
		class = UnknownClass
	}
	p.observe(j, class, d, outcomeOf(x, out.failed), now, elapsed)
	return x
}

func (p *processor) observe(j *queue.Job, class string, d *queue.Delivery, o Outcome, start time.Time, ran time.Duration) {
	if p.observer != nil {
		p.observer.Ran(JobRun{Queue: d.Queue, Class: class, Outcome: o, Waited: waited(j, start), Ran: ran})
	}
}

func (p *processor) execute(ctx *jobContext, s *slot, j *queue.Job, e *entry, class string, now time.Time) error {
	if e == nil {
		s.begin(class, now, time.Time{})
		return &UnknownClassError{class, p.classes}
	}
	if err := refusal(j, p.batches); err != nil {
		return err
	}
	failpoint.Hit("before_run")
	limit, cause := runLimit(j, e.Options, now)
	s.begin(class, now, limit)
	if err := pastDeadline(j, e.Options, now); err != nil {
		return err
	}
	if limit.IsZero() {
		return call(ctx, e.handler, j)
	}
	timed, cancel := context.WithDeadlineCause(ctx, limit, cause)
	defer cancel()
	err := call(timed, e.handler, j)
	if err != nil && context.Cause(timed) == cause {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// runLimit is when a run that begins now must end, zero if never, and why.
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

// call runs a handler; a panic becomes its error. It is the only place that
// recovers.
func call(ctx context.Context, h Handler, j *queue.Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return h(ctx, j)
}

// conclude computes the outcome. A job whose owner lost its lease has another
// run elsewhere: whatever is decided here is not carried out.
func (p *processor) conclude(epoch context.Context, j *queue.Job, e *entry, d *queue.Delivery, err error) outcome {
	if err == nil {
		return outcome{action: queue.Done}
	}
	pol := p.policy
	if e != nil {
		pol.Options = e.Options
	}
	return pol.decide(j, d.Queue, err, interrupted(epoch), time.Now())
}

// count notes a run as Sidekiq does: a failure is processed too. A job that is
// put back or put off has not been run to an end.
func (p *processor) count(out outcome) {
	if out.action == queue.Requeue || out.action == queue.Schedule || out.action == queue.Forward {
		return
	}
	p.processed.Add(1)
	if out.failed {
		p.failed.Add(1)
	}
}

// jobAttrs are what a job's lines carry; fields of the payload only if it has
// them.
func jobAttrs(j *queue.Job, d *queue.Delivery, s *slot, fields []string) []any {
	attrs := []any{"class", j.DisplayClass(), "jid", j.JID, "queue", d.Queue, "tid", s.tid}
	for _, field := range fields {
		if text := fieldText(j.Field(field)); text != "" {
			attrs = append(attrs, field, text)
		}
	}
	return attrs
}

// fieldText is a JSON token as a log shows it: a list joined with commas, a
// string without its quotes.
func fieldText(token string) string {
	if token == "" || token == "null" {
		return ""
	}
	var list []string
	if json.Unmarshal([]byte(token), &list) == nil {
		return strings.Join(list, ",")
	}
	var text string
	if json.Unmarshal([]byte(token), &text) == nil {
		return text
	}
	return token
}

func logOutcome(log *slog.Logger, out outcome, err error, elapsed time.Duration) {
	log = log.With("elapsed", elapsed)
	switch {
	case out.action == queue.Requeue:
		log.Info("interrupted: back to its queue")
	case out.action == queue.Forward:
		log.Info("interrupted between two steps: goes on later")
	case out.action == queue.Schedule:
		log.Info("snoozed", "until", out.at)
	case !out.failed:
		log.Info("done")
	case out.action == queue.Retry:
		log.Warn("fail", "err", err, "retry_at", out.at)
	case out.action == queue.Dead:
		log.Error("fail: its retries are exhausted, it goes to the dead set", "err", err)
	default:
		log.Error("fail: it is not kept", "err", err)
	}
}

// tellError tells the error handlers. One that panics must not cost the job.
func (p *processor) tellError(ctx context.Context, err error, j *queue.Job) {
	for _, h := range p.onError {
		p.guard("error handler", func() { h(ctx, err, j) })
	}
}

func (p *processor) tellDeath(ctx context.Context, j *queue.Job, out outcome, err error) {
	if out.payload != "" {
		if dead, perr := queue.ParseJob(out.payload); perr == nil {
			j = dead // with the fields of its last failure
		}
	}
	for _, h := range p.onDeath {
		p.guard("death handler", func() { h(ctx, j, err) })
	}
}

func (p *processor) guard(what string, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Error(what+" panicked", "err", newPanicError(v))
		}
	}()
	fn()
}

// goroutineName is what a dump of all stacks calls the calling goroutine.
func goroutineName() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// stackOf cuts one goroutine out of a dump of all.
func stackOf(goroutine string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, block := range strings.Split(string(buf), "\n\n") {
		if strings.HasPrefix(block, goroutine+" [") {
			return block
		}
	}
	return ""
}

// allStacks is what TTIN writes to the log: goroutines that do the same are
// counted, not repeated.
func allStacks() string {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}
