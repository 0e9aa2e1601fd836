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
	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// ErrorHandler is told of every failure: of a job's (j is its envelope), or of
// bytes that are no job (j is nil).
type ErrorHandler func(ctx context.Context, err error, j *queue.Job)

// DeathHandler is told of a job that will not run again: its retries are
// exhausted, it was killed or discarded, or it asked not to be retried.
type DeathHandler func(ctx context.Context, j *queue.Job, err error)

// processor runs jobs: it is what the slots of all capsules share.
type processor struct {
	ledger    *ledger
	callbacks *callbacks
	handlers  map[string]*entry
	classes   []string
	policy    policy
	log       *slog.Logger
	jobLog    bool
	onError   []ErrorHandler
	onDeath   []DeathHandler
	env       *environment
	unknown   Unknown
	batches   bool // jobs of Sidekiq Pro's batches may run
	observer  Observer

	poison     queue.Poison
	quarantine *quarantine

	processed, failed atomic.Int64
}

// run is one delivery in the hands of a thread.
type run struct {
	*processor
	entry   *protocol.Entry
	slot    *slot
	epoch   context.Context
	job     *queue.Job
	class   string
	handler *entry // nil: the class is not known here
	ctx     *jobContext
	start   time.Time
}

// work lets s run jobs until there are no more; done tells that it has just run one. A
// handler that calls runtime.Goexit ends the goroutine, and nothing can stop that: then goOn
// is called, for another goroutine to run s.
func (p *processor) work(s *slot, pool *pool, epoch func() context.Context, done bool,
	goOn func()) error {
	s.mu.Lock()
	s.goroutine = goroutineName()
	s.mu.Unlock()
	exited := true
	defer func() {
		if exited {
			goOn()
		}
	}()
	r := new(run)
	for e, now := pool.next(s, done); e != nil; e, now = pool.next(s, true) {
		failpoint.Hit("registered")
		*r = run{processor: p, entry: e, slot: s, epoch: epoch(), start: now}
		r.process()
		*r = run{} // a thread that waits keeps no payload
	}
	exited = false
	return nil
}

// process runs the delivery, and settles it.
func (r *run) process() {
	d := &r.entry.Delivery
	j, err := envelope.ParseJob(d.Raw)
	if err != nil {
		r.log.Error("not a job: it goes to the dead set as it is", "queue", d.Queue, "err", err)
		x := &queue.Settlement{Delivery: d, Action: queue.Dead, Payload: d.Raw, At: r.start}
		r.settle(x, queue.EventDead)
		r.tellError(err)
		r.observe(UnknownClass, OutcomeDead, 0)
		return
	}
	r.job = j
	if !r.poison.Suspect(j) {
		r.dispatch()
		return
	}
	r.log.Warn("workers died with this job in their hands: it is to run alone",
		"class", j.DisplayClass(), "jid", j.JID)
	alone := func() {
		r.start = time.Now() // it may have waited for its turn
		r.dispatch()
	}
	if !r.quarantine.run(r.epoch, r.entry, alone) {
		r.settle(&queue.Settlement{Delivery: d, Action: queue.Requeue}, queue.EventRequeue)
	}
}

// dispatch finds the handler and runs it, unless something else is to become of the job.
func (r *run) dispatch() {
	r.class, _ = r.job.Unwrapped()
	if r.handler = r.handlers[r.class]; r.handler != nil {
		// metrics keep it: the job's own text would keep the whole payload
		r.class = r.handler.class
	}
	r.ctx = &jobContext{Context: r.epoch, job: r.job, env: r.env, log: withLevel(r.log, r.job),
		delivery: &r.entry.Delivery, slot: r.slot}
	if r.handler == nil {
		if x, ok := r.unknown.settle(r.job, &r.entry.Delivery, r.class, r.start); ok {
			r.ctx.logger().Warn("its class is not known here", "unknown", r.unknown.String())
			r.settle(&x, eventOf(x.Action, false))
			r.observe(UnknownClass, r.unknown.outcome(), 0)
			return
		}
	}
	if expired(r.job, r.start) {
		r.ctx.logger().Warn("expired: discarded")
		r.settle(nil, queue.EventExpire)
		r.observe(r.class, OutcomeExpired, 0)
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
	err := r.execute()
	returned = true
	r.finish(jobLog, err)
}

// settle hands over what becomes of the delivery; nil: it is done. From here on the ledger
// keeps it until Redis has confirmed that.
func (r *run) settle(x *queue.Settlement, event queue.EffectEvent) {
	effects, err := r.env.store.Effects(r.job, event)
	if err != nil {
		r.log.Error("not all that a job holds can be released", "queue", r.entry.Queue, "err", err)
	}
	if len(effects) > 0 {
		if x == nil {
			x = &queue.Settlement{Delivery: &r.entry.Delivery, Action: queue.Done}
		}
		x.Effects = effects
	}
	r.ledger.finish(r.entry, x)
}

// eventOf is what an action means for the capabilities.
func eventOf(a queue.Action, failed bool) queue.EffectEvent {
	switch {
	case a == queue.Done && failed:
		return queue.EventDiscard
	case a == queue.Schedule:
		return queue.EventSnooze
	default:
		return queue.EffectEvent(a) // of the same name
	}
}

// finish concludes a run that has ended with err, settles it, and then tells the users' code:
// what hangs there costs the thread, and not the job.
func (r *run) finish(jobLog bool, err error) {
	elapsed := time.Since(r.start)
	out := r.conclude(err)
	switch out.action {
	case queue.Done:
		failpoint.Hit("run_ok_before_ack")
	case queue.Retry:
		failpoint.Hit("retry_before")
	case queue.Requeue:
		failpoint.Hit("requeue_on_stop")
	}
	// what no handler ran is in no metrics (docs/wire.md 3.4)
	r.slot.end(elapsed, out.failed, r.handler != nil && !isRefused(err))
	r.ctx.end()
	r.count(out)
	var x *queue.Settlement // of most jobs nothing is kept
	if out.action != queue.Done {
		x = &queue.Settlement{Delivery: &r.entry.Delivery, Action: out.action, Payload: out.payload,
			At: out.at, To: out.to}
	}
	r.settle(x, eventOf(out.action, out.failed))
	if jobLog {
		logOutcome(r.ctx.logger(), out, err, elapsed)
	}
	if out.failed {
		r.tellError(err)
	}
	if out.died {
		r.callbacks.tellDeath(r.epoch, r.onDeath, r.job, out.payload, err)
	}
	class := r.class
	if r.handler == nil {
		class = UnknownClass
	}
	r.observe(class, outcomeOf(out.action, out.failed), elapsed)
}

func (r *run) tellError(err error) {
	r.callbacks.tellError(r.epoch, r.onError, err, r.job)
}

func (r *run) observe(class string, o Outcome, ran time.Duration) {
	if r.observer == nil {
		return
	}
	waits := time.Duration(0)
	if r.job != nil {
		waits = r.job.Waited(r.start)
	}
	r.observer.Ran(JobRun{Queue: r.entry.Queue, Class: class, Outcome: o, Waited: waits, Ran: ran})
}

func (r *run) execute() error {
	d, now := &r.entry.Delivery, r.start
	if r.handler == nil {
		r.slot.begin(d, r.class, now, time.Time{})
		return &UnknownClassError{r.class, r.classes}
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

// call runs a handler; a panic becomes its error.
func call(ctx context.Context, h Handler, j *queue.Job) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	return h(ctx, j)
}

// conclude computes the outcome. A job whose owner lost its lease has another run elsewhere:
// what is decided here is carried out only if it has not been taken away. An error whose own
// methods panic is a failure like any other.
func (r *run) conclude(err error) (out outcome) {
	if err == nil {
		return outcome{action: queue.Done}
	}
	pol := r.policy
	if r.handler != nil {
		pol.Options = r.handler.Options
	}
	decide := func() {
		out = pol.decide(r.job, r.entry.Queue, err, interrupted(r.epoch), time.Now())
	}
	if panicked := guardedDecision(decide); panicked != nil {
		err = panicked
		decide()
	}
	return out
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
