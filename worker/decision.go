package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

var (
	// ErrShutdown is the cause with which the contexts of running jobs end when a stop has waited
	// Config.Timeout. A job that fails after that goes back to the head of its queue, and no
	// attempt is counted.
	ErrShutdown = errors.New("the worker is shutting down")
	// ErrTimeout is the cause with which the context of a run ends after Options.Timeout.
	ErrTimeout = errors.New("the job ran into its timeout")
	// ErrDeadline is the cause with which the context of a run ends when the job becomes older than
	// Options.Deadline.
	ErrDeadline = errors.New("the job is past its deadline")
)

// defaultMaxRetries is Sidekiq's number.
const defaultMaxRetries = 25

// maxBacktraceLines is the most lines of a backtrace. No stack has more.
const maxBacktraceLines = 1 << 20

// maxDelay bounds every wait that a job or a handler asks for. Numbers in payloads have any size,
// and a much longer wait would overflow into one that is over.
const maxDelay = 100 * 365 * 24 * time.Hour

// decision is the outcome of a delivery: what Redis is to do with it, and what is reported. Pure
// functions of the job, its error and the time compute it once.
type decision struct {
	settle  queue.Settlement  // without the delivery, which the run adds
	event   queue.EffectEvent // for the capabilities
	told    Outcome           // for the observer
	failed  bool              // counts as a failure
	died    bool              // the death handlers are called
	payload string            // of a job that died: as the death handlers get it
}

// The decisions that do not depend on the job.
var (
	decidedDone = decision{settle: queue.Settlement{Action: queue.Done}, event: queue.EventDone,
		told: OutcomeDone}
	decidedDropped = decision{settle: queue.Settlement{Action: queue.Done},
		event: queue.EventDiscard, told: OutcomeDropped, failed: true, died: true}
	decidedExpired = decision{settle: queue.Settlement{Action: queue.Done},
		event: queue.EventExpire, told: OutcomeExpired}
	decidedRequeue = decision{settle: queue.Settlement{Action: queue.Requeue},
		event: queue.EventRequeue, told: OutcomeRequeued}
)

// decideBytes returns the outcome of bytes that are not a job: they go to the dead set.
func decideBytes(raw string, now time.Time) decision {
	return decision{settle: queue.Settlement{Action: queue.Dead, Payload: envelope.ForDeadSet(raw),
		At: now}, event: queue.EventDead, told: OutcomeDead}
}

// policy is what a decision depends on besides the job and its error.
type policy struct {
	Options        // of the class
	maxRetries int // where neither the job nor its class has a number

	failure func(*queue.Job, time.Time) *envelope.Patch // begins a patch with a failure's fields
	again   func(*queue.Job, time.Time) string          // the payload as a new push stores it
	jitter  func(n int) int                             // a random number from 0 to n-1
	log     *slog.Logger
}

// decide computes the outcome of j, which was fetched from the queue from, after a run that ended
// with err at the time now. stopping says that a stop or the loss of the lease interrupted the run.
// The rules are Sidekiq's (docs/wire.md 7). Payloads are built from the original bytes.
func (p *policy) decide(j *queue.Job, from string, err error, stopping bool,
	now time.Time) decision {
	var steer *queue.Steer
	errors.As(err, &steer)
	switch {
	case err == nil:
		return decidedDone
	case errors.Is(err, errInterrupted):
		return decision{settle: queue.Settlement{Action: queue.Forward, Payload: p.again(j, now),
			To: cmp.Or(j.Queue, from)}, event: queue.EventForward, told: OutcomeInterrupted}
	case isSnooze(steer) && j.RubyRefuses() == nil:
		var patch envelope.Patch
		patch.SetString("queue", from)
		return decision{settle: queue.Settlement{Action: queue.Schedule, Payload: patch.Apply(j),
			At: now.Add(bounded(steer.In))}, event: queue.EventSnooze, told: OutcomeSnoozed}
	case steer != nil && steer.Action == queue.Done:
		return decidedDropped
	case stopping && steer == nil:
		return decidedRequeue
	case p.retryField(j) == "false" && !isRefused(err) && !isSnooze(steer):
		return decidedDropped // the job asked not to be retried or kept
	}
	return p.decideFailure(j, from, err, steer, now)
}

// decideClosed computes the outcome of a job whose lane is to be closed, after a run that ended
// with err: it is the first of its lane again, and no attempt is counted. ok is false for other
// errors.
func decideClosed(err error, now time.Time) (d decision, ok bool) {
	var steer *queue.Steer
	if !errors.As(err, &steer) || !steer.Closes || steer.In <= 0 {
		return d, false
	}
	d = decidedRequeue
	d.settle.At, d.told = now.Add(bounded(steer.In)), OutcomeSnoozed
	return d, true
}

// decideFailure computes the outcome of a job that has failed: it is retried, or it dies.
func (p *policy) decideFailure(j *queue.Job, from string, err error, steer *queue.Steer,
	now time.Time) decision {
	retry := p.retryField(j)
	patch := p.failure(j, now)
	patch.Set("retry", retry)
	count := 0
	if n, ok := j.RetryCount(); ok {
		count = n + 1
	}
	refused := j.RubyRefuses() // not nil: neither the retry set nor the schedule set may have it
	p.describe(patch, j, from, err)
	if refused != nil {
		patch.SetString("error_message", errorMessage(cause(err))+"; not tried again: "+
			refused.Error())
	}
	payload := patch.Apply(j)
	killed := steer != nil && steer.Action == queue.Dead
	spent := retry == "false" || exhausted(j, count, p.limit(retry), now)
	over := refused != nil || errors.Is(err, ErrDeadline)
	dies := killed || spent || over
	switch {
	case !dies:
		due := now.Add(p.delay(count, err, steer))
		return decision{settle: queue.Settlement{Action: queue.Retry, Payload: payload, At: due},
			event: queue.EventRetry, told: OutcomeRetry, failed: true}
	case p.dropped(j) && !isRefused(err) && refused == nil:
		dropped := decidedDropped
		dropped.payload = payload
		return dropped
	default:
		return decision{settle: queue.Settlement{Action: queue.Dead,
			Payload: envelope.ForDeadSet(payload), At: now}, event: queue.EventDead,
			told: OutcomeDead, failed: true, died: true, payload: payload}
	}
}

// isSnooze reports whether a handler put its job off.
func isSnooze(s *queue.Steer) bool { return s != nil && s.Action == queue.Schedule }

// retryField returns the job's field retry. If there is none, it returns the option of the class,
// else true (docs/wire.md 7.2).
func (p *policy) retryField(j *queue.Job) string {
	field := j.Field("retry")
	if field == "" || field == "null" {
		field = cmp.Or(p.Retry.String(), "true")
	}
	return field
}

// dropped reports whether a job that dies is not kept in the dead set.
func (p *policy) dropped(j *queue.Job) bool {
	switch j.Field("dead") {
	case "", "null":
		return p.NoDead
	case "false":
		return true
	}
	return false
}

// limit returns the most retries that a field retry allows. If it is not an integer, the number of
// the class counts, which a program that only pushes need not know, else the default.
func (p *policy) limit(field string) int {
	for _, text := range []string{field, p.Retry.String()} {
		if n, err := strconv.Atoi(text); err == nil || errors.Is(err, strconv.ErrRange) {
			return n // if it is out of range, the largest integer
		}
	}
	return p.maxRetries
}

// exhausted reports whether a job that has failed count+1 times has no retry left. With the field
// retry_for only the time since the first failure counts; zero or less allows no retry.
func exhausted(j *queue.Job, count, limit int, now time.Time) bool {
	if d, ok := seconds(j, "retry_for"); ok {
		first := j.Time("failed_at")
		return d <= 0 || (!first.IsZero() && first.Add(d).Before(now))
	}
	return count >= limit
}

// delay returns the wait before the next attempt: the time that the handler or its class says, else
// count⁴+15 seconds. It adds jitter, so that jobs that failed together do not come back together.
func (p *policy) delay(count int, err error, steer *queue.Steer) time.Duration {
	var d time.Duration
	if steer != nil && steer.Action == queue.Retry {
		d = steer.In
	} else if p.RetryDelay != nil {
		d = p.classDelay(count, err)
	}
	n := max(count, 0) // it is -1 after a retry by hand
	if d <= 0 {
		d = quartic(n)
	}
	return bounded(bounded(d) + time.Duration(p.jitter(10*(n+1)))*time.Second)
}

// quartic returns Sidekiq's wait after n failures, n⁴+15 seconds. From n = 310 on it would
// overflow.
func quartic(n int) time.Duration {
	if n > 300 {
		return maxDelay
	}
	return time.Duration(n*n*n*n+15) * time.Second
}

// bounded returns d, but at least 0 and at most maxDelay.
func bounded(d time.Duration) time.Duration { return min(max(d, 0), maxDelay) }

// seconds returns a top-level number of seconds, between -maxDelay and maxDelay. ok is false if the
// field is not a number.
func seconds(j *queue.Job, key string) (d time.Duration, ok bool) {
	field := j.Field(key)
	if field == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(field, 64) // infinity if it is out of range
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	limit := maxDelay.Seconds()
	return time.Duration(min(max(n, -limit), limit) * float64(time.Second)), true
}

// classDelay calls the RetryDelay of the class. If it panics, the default counts.
func (p *policy) classDelay(count int, err error) (d time.Duration) {
	defer func() {
		if v := recover(); v != nil {
			p.log.Error("a class's RetryDelay panicked: the default delay counts",
				"err", newPanicError(v))
			d = 0
		}
	}()
	return p.RetryDelay(count, err)
}

// describe adds the error and the queue of the retry to a patch of the payload.
func (p *policy) describe(patch *envelope.Patch, j *queue.Job, from string, err error) {
	if q := j.String("retry_queue"); q != "" {
		from = q
	}
	patch.SetString("queue", from)
	patch.SetString("error_message", errorMessage(cause(err)))
	patch.SetString("error_class", errorClass(err))
	lines := p.Backtrace
	switch field := j.Field("backtrace"); field {
	case "":
	case "true":
		lines = -1
	default:
		n, _ := strconv.ParseFloat(field, 64) // false, null: none; beyond all bounds an infinity
		lines = int(min(max(n, 0), maxBacktraceLines))
	}
	if lines != 0 {
		patch.SetString("error_backtrace", envelope.PackBacktrace(backtrace(err, lines)))
	}
}

// cause returns the error that a steering error carries, or err itself.
func cause(err error) error {
	var s *queue.Steer
	if errors.As(err, &s) && s.Err != nil && err == error(s) {
		return s.Err
	}
	return err
}

// expired reports whether a job that has not started is too late to run. That is so after the time
// expires_at, which Kyu's client writes, or expiry, which Sidekiq Pro's client writes, or when the
// job has been in its queue for longer than expires_in. A scheduled job is in its queue from when
// it was due, and a failed job from when it is tried again, so neither expires before it can run.
func expired(j *queue.Job, now time.Time) bool {
	for _, key := range []string{"expires_at", "expiry"} {
		if t := j.Time(key); !t.IsZero() {
			return now.After(t)
		}
	}
	in, ok := seconds(j, "expires_in")
	if !ok {
		return false
	}
	since := j.Enqueued()
	return !since.IsZero() && now.After(since.Add(in))
}

// pastDeadline returns an error if a job is older than its class allows, else nil.
func pastDeadline(j *queue.Job, o Options, now time.Time) error {
	if o.Deadline <= 0 {
		return nil
	}
	created := j.Time("created_at")
	if created.IsZero() || now.Before(created.Add(o.Deadline)) {
		return nil
	}
	return fmt.Errorf("%w of %v", ErrDeadline, o.Deadline)
}

// isRefused reports whether a job was not run because of a field of its payload. It had no chance
// to succeed, so it is never dropped.
func isRefused(err error) bool {
	var r *RefusedError
	return errors.As(err, &r)
}

// jitter returns a random number from 0 to n-1.
func jitter(n int) int { return rand.IntN(max(n, 1)) }

// interrupted reports whether a job failed because its run was interrupted: the worker stops, or
// its lease is lost, so that the job runs elsewhere.
func interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, ErrShutdown) || errors.Is(cause, queue.ErrLeaseLost)
}
