package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// environment is what running jobs can ask for beside their arguments.
type environment struct {
	store        *queue.Store
	quiet        <-chan struct{} // closed when the worker takes no more jobs
	timeout      time.Duration   // that a stop waits
	maxIteration time.Duration   // 0: no limit
	logged       []string        // fields of a payload that are on its job's lines
}

func (e *environment) quieting() bool {
	select {
	case <-e.quiet:
		return true
	default:
		return false
	}
}

// jobContext is a running job's context: done when the epoch is or when the job
// has ended. Most handlers never ask, so the part that can be cancelled is made
// when one does.
type jobContext struct {
	context.Context // the epoch's
	job             *queue.Job
	env             *environment // nil outside of a worker, like the three after it
	log             *slog.Logger // at the job's level
	delivery        *queue.Delivery
	slot            *slot

	mu     sync.Mutex
	named  *slog.Logger // log with what names the job; made when somebody writes
	inner  context.Context
	cancel context.CancelCauseFunc
	ended  bool
}

func (c *jobContext) lazy() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancelCause(queue.WithJob(c.Context, c.job))
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

// logger is the job's logger.
func (c *jobContext) logger() *slog.Logger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named == nil {
		c.named = c.log.With(jobAttrs(c.job, c.delivery, c.slot, c.env.logged)...)
	}
	return c.named
}

// end cancels what the handler may have left running.
func (c *jobContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}

// jobContextOf is the context of the job that runs under ctx, or nil.
func jobContextOf(ctx context.Context) *jobContext {
	c, _ := ctx.Value(jobContextKey{}).(*jobContext)
	return c
}

// LogFrom is the logger of the job that runs under ctx: its lines carry the
// job's class, jid and tags, and its field log_level, if it has one, decides which
// of them are written. Outside of a worker it is slog's default.
func LogFrom(ctx context.Context) *slog.Logger {
	if c := jobContextOf(ctx); c != nil && c.log != nil {
		return c.logger()
	}
	return slog.Default()
}

// Quieting is closed when the worker that runs the job takes no more jobs: it is
// about to stop. A long job can then end early, and put itself off with
// queue.Snooze. Outside of a worker it is never closed. (An Iterable asks by
// itself.)
func Quieting(ctx context.Context) <-chan struct{} {
	if c := jobContextOf(ctx); c != nil && c.env != nil {
		return c.env.quiet
	}
	return nil
}

// leveled writes what is at least at a level, whatever its handler would.
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

// rubyLevels are the values of log_level, by name or number.
var rubyLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError, "fatal": slog.LevelError,
	"0": slog.LevelDebug, "1": slog.LevelInfo, "2": slog.LevelWarn, "3": slog.LevelError,
	"4": slog.LevelError}

// withLevel is log at the level that the job asks for, or as it is.
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
