package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// environment is what running jobs can ask for besides their arguments. New writes it; afterwards
// it does not change.
type environment struct {
	quiet        <-chan struct{} // closed when the worker takes no more jobs
	timeout      time.Duration   // how long a stop waits for running jobs
	maxIteration time.Duration   // 0: no limit
	logged       []string        // the fields of a payload that are on its job's lines
}

// quieting reports whether the worker takes no more jobs.
func (e *environment) quieting() bool {
	select {
	case <-e.quiet:
		return true
	default:
		return false
	}
}

// jobContext is the context of a running job. It ends when the epoch ends or when the handler has
// returned. Most handlers never ask for its end, so the part that can be cancelled is made when a
// handler first asks. The thread of the job makes it; any goroutine of the handler may use it.
type jobContext struct {
	context.Context // the epoch's
	job             *queue.Job
	env             *environment // nil outside of a worker, like the three fields after it
	log             *slog.Logger // at the job's level
	delivery        *queue.Delivery
	slot            *slot

	// mu guards the rest: the thread and the goroutines of the handler read and write it.
	mu     sync.Mutex
	named  *slog.Logger // log with the attributes that name the job; made by the first line
	inner  context.Context
	cancel context.CancelCauseFunc
	ended  bool // the handler has returned
}

// lazy returns the part that can be cancelled, and makes it if there is none.
func (c *jobContext) lazy() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		outer := queue.WithJob(c.Context, c.job)
		if c.delivery != nil && c.delivery.Sourced {
			outer = queue.WithLane(outer)
		}
		c.inner, c.cancel = context.WithCancelCause(outer)
		if c.ended {
			c.cancel(context.Canceled)
		}
	}
	return c.inner
}

func (c *jobContext) Done() <-chan struct{} { return c.lazy().Done() }
func (c *jobContext) Err() error            { return c.lazy().Err() }

type jobContextKey struct{}

func (c *jobContext) Value(key any) any {
	if key == (jobContextKey{}) {
		return c
	}
	return c.lazy().Value(key)
}

// logger returns the job's logger.
func (c *jobContext) logger() *slog.Logger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named == nil {
		c.named = c.log.With(jobAttrs(c.job, c.delivery, c.slot, c.env.logged)...)
	}
	return c.named
}

// end cancels the context for goroutines that the handler may have left running.
func (c *jobContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}

// jobContextOf returns the context of the job that runs under ctx, or nil.
func jobContextOf(ctx context.Context) *jobContext {
	c, _ := ctx.Value(jobContextKey{}).(*jobContext)
	return c
}

// LogFrom returns the logger of the job that runs under ctx. Its lines carry the job's class, jid,
// queue and thread, and the fields of the payload that Config.LogAttributes names. If the payload
// has a field log_level, only lines of that level or above are written. Outside of a worker LogFrom
// returns slog.Default().
func LogFrom(ctx context.Context) *slog.Logger {
	if c := jobContextOf(ctx); c != nil && c.log != nil {
		return c.logger()
	}
	return slog.Default()
}

// Quieting returns a channel that is closed when the worker that runs the job under ctx takes no
// more jobs, because it is about to stop. A long job can then end early and put itself off with
// queue.Snooze; an Iterable does so by itself. Outside of a worker Quieting returns nil, a channel
// that never closes.
func Quieting(ctx context.Context) <-chan struct{} {
	if c := jobContextOf(ctx); c != nil && c.env != nil {
		return c.env.quiet
	}
	return nil
}

// leveled writes lines of a level or above, whatever level its own handler has.
type leveled struct {
	slog.Handler
	level slog.Level
}

func (h leveled) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }
func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}
func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}

// rubyLevels are the values of the field log_level, by name and by number.
var rubyLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError, "fatal": slog.LevelError,
	"0": slog.LevelDebug, "1": slog.LevelInfo, "2": slog.LevelWarn, "3": slog.LevelError,
	"4": slog.LevelError}

// withLevel returns log at the level that the job's payload asks for, else log itself.
func withLevel(log *slog.Logger, j *queue.Job) *slog.Logger {
	field := j.Field("log_level")
	if field == "" {
		return log
	}
	level, known := rubyLevels[strings.ToLower(strings.Trim(field, `"`))]
	if !known {
		return log
	}
	return slog.New(leveled{log.Handler(), level})
}
