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
	// ErrShutdown is the cause with which running jobs' contexts are cancelled
	// when the time to finish is over. A job that then fails goes back to the
	// head of its queue, and no attempt is counted.
	ErrShutdown = errors.New("the worker is shutting down")
	// ErrTimeout is the cause when a class's Timeout is over.
	ErrTimeout = errors.New("the job ran into its timeout")
	// ErrDeadline is the cause when a job is older than its class's Deadline.
	ErrDeadline = errors.New("the job is past its deadline")
)

// defaultMaxRetries is Sidekiq's.
const defaultMaxRetries = 25

// maxBacktraceLines is as many as all: no stack has more.
const maxBacktraceLines = 1 << 20

// maxDelay bounds every wait that a job or a handler asks for: numbers in payloads have
// any size, and a longer wait than this would overflow into one that is over.
const maxDelay = 100 * 365 * 24 * time.Hour

// decision is what becomes of a delivery: what is settled, and what is told of it. It is computed
// once, by pure functions of the job, its error and the time.
type decision struct {
	settle  queue.Settlement  // without the delivery, which the run adds
	event   queue.EffectEvent // what it means for the capabilities
	told    Outcome           // what it is for the observer
	failed  bool              // counts as a failure
	died    bool              // death handlers are told
	payload string            // of a job that died: as the death handlers are told it
}

// The decisions that need nothing but themselves.
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

// decideBytes is what becomes of bytes that are no job: they go to the dead set as they are.
func decideBytes(raw string, now time.Time) decision {
	return decision{settle: queue.Settlement{Action: queue.Dead, Payload: envelope.ForDeadSet(raw),
		At: now}, event: queue.EventDead, told: OutcomeDead}
}

// policy is what decides beside the job and its error.
type policy struct {
	Options
	maxRetries int
	failure    func(*queue.Job, time.Time) *envelope.Patch
	again      func(*queue.Job, time.Time) string // the payload as a new push would store it
	jitter     func(n int) int                    // uniform in [0, n)
	log        *slog.Logger
}

// decide computes what becomes of j, fetched from queue from, after a run that ended with err at
// now. stopping tells that the run was interrupted. The rules are Sidekiq's (docs/wire.md 7);
// payloads are built from the original bytes.
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
		return decidedDropped // it asked not to be kept
	}
	return p.decideFailure(j, from, err, steer, now)
}

// decideFailure computes what becomes of a job that has failed: it is retried, or it dies.
func (p *policy) decideFailure(j *queue.Job, from string, err error, steer *queue.Steer,
	now time.Time) decision {
	retry := p.retryField(j)
	patch := p.failure(j, now)
	patch.Set("retry", retry)
	count := 0
	if n, ok := j.RetryCount(); ok {
		count = n + 1
	}
	refused := j.RubyRefuses() // then neither retry nor schedule set may hold it
	p.describe(patch, j, from, err)
	if refused != nil {
		patch.SetString("error_message", errorMessage(cause(err))+"; not tried again: "+
			refused.Error())
	}
	dies := retry == "false" || errors.Is(err, ErrDeadline) || refused != nil ||
		(steer != nil && steer.Action == queue.Dead) || exhausted(j, count, p.limit(retry), now)
	payload := patch.Apply(j)
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

func isSnooze(s *queue.Steer) bool { return s != nil && s.Action == queue.Schedule }

// retryField is the job's retry field; of a job that does not say, the class's
// option, else true (docs/wire.md 7.2).
func (p *policy) retryField(j *queue.Job) string {
	field := j.Field("retry")
	if field == "" || field == "null" {
		field = cmp.Or(p.Retry.String(), "true")
	}
	return field
}

// dropped reports whether a job is not kept when it dies.
func (p *policy) dropped(j *queue.Job) bool {
	switch j.Field("dead") {
	case "", "null":
		return p.NoDead
	case "false":
		return true
	}
	return false
}

// limit is the most retries that a retry field allows. What is no integer means the
// number of its class, which a program that only pushes need not know, else the
// default.
func (p *policy) limit(field string) int {
	for _, text := range []string{field, p.Retry.String()} {
		if n, err := strconv.Atoi(text); err == nil || errors.Is(err, strconv.ErrRange) {
			return n // beyond all bounds it is the largest integer
		}
	}
	return p.maxRetries
}

// exhausted reports whether a job that has now failed count+1 times is dead. With retry_for only
// the time since the first failure counts; zero or less allows no retry.
func exhausted(j *queue.Job, count, limit int, now time.Time) bool {
	if d, ok := seconds(j, "retry_for"); ok {
		first := j.Time("failed_at")
		return d <= 0 || (!first.IsZero() && first.Add(d).Before(now))
	}
	return count >= limit
}

// delay is the wait before the next attempt: what the handler or its class
// says, else count⁴+15 seconds; always with jitter, so that what failed
// together does not come back together.
func (p *policy) delay(count int, err error, steer *queue.Steer) time.Duration {
	var d time.Duration
	if steer != nil && steer.Action == queue.Retry {
		d = steer.In
	} else if p.RetryDelay != nil {
		d = p.classDelay(count, err)
	}
	n := max(count, 0) // -1 after a retry by hand
	if d <= 0 {
		d = quartic(n)
	}
	return bounded(bounded(d) + time.Duration(p.jitter(10*(n+1)))*time.Second)
}

// quartic is Sidekiq's wait after n failures, n⁴+15 seconds. From 310 on it would
// overflow.
func quartic(n int) time.Duration {
	if n > 300 {
		return maxDelay
	}
	return time.Duration(n*n*n*n+15) * time.Second
}

// bounded is a wait that is neither negative nor longer than maxDelay.
func bounded(d time.Duration) time.Duration { return min(max(d, 0), maxDelay) }

// seconds is a top-level number of seconds, at most maxDelay to either side; ok is false
// if there is none.
func seconds(j *queue.Job, key string) (d time.Duration, ok bool) {
	field := j.Field(key)
	if field == "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(field, 64) // of what is out of range it gives an infinity
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	limit := maxDelay.Seconds()
	return time.Duration(min(max(n, -limit), limit) * float64(time.Second)), true
}

// classDelay asks the class. A function of the user's that panics must not cost
// the process: the default counts then.
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

// describe puts the error into the payload.
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

// cause is the error that a steering error carries, or err itself.
func cause(err error) error {
	var s *queue.Steer
	if errors.As(err, &s) && s.Err != nil && err == error(s) {
		return s.Err
	}
	return err
}

// expired reports whether a job was to be discarded before now if it had not started: after the
// time expires_at, which Kyu's client writes, or expiry, which Sidekiq Pro's writes, or so long
// after it was put into its queue as expires_in says. A job that was scheduled is in its queue from
// when it was due, and one that failed from when it is tried again: neither expires unrun.
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

// pastDeadline is the error of a job that is older than its class allows.
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

// isRefused tells a job that was not run for a field of its: it has had no
// chance, so it is never dropped.
func isRefused(err error) bool {
	var r *RefusedError
	return errors.As(err, &r)
}

func jitter(n int) int { return rand.IntN(max(n, 1)) }

// interrupted reports whether a job that failed under ctx is not to blame: the
// worker stops, or its lease is lost, so that the job runs elsewhere.
func interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return errors.Is(cause, ErrShutdown) || errors.Is(cause, queue.ErrLeaseLost)
}
