package testjobs

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// callbacks are a user's that take long or panic.
type callbacks struct {
	takes  map[string]time.Duration
	panics []string
	calls  atomic.Int64
}

// newCallbacks reads how long each callback takes ("heartbeat=8s ran=2ms") and which of them
// panic ("heartbeat ran").
func newCallbacks(slow, panics string) *callbacks {
	b := &callbacks{takes: map[string]time.Duration{}, panics: strings.Fields(panics)}
	for _, part := range strings.Fields(slow) {
		name, takes, _ := strings.Cut(part, "=")
		b.takes[name] = duration(takes)
	}
	return b
}

// join adds the callbacks to a worker.
func (b *callbacks) join(c *worker.Config) {
	hook := func(name string) func(context.Context) error {
		return func(context.Context) error { b.call(name, 1); return nil }
	}
	c.Hooks.Startup = append(c.Hooks.Startup, hook("startup"))
	c.Hooks.Heartbeat = append(c.Hooks.Heartbeat, hook("heartbeat"))
	c.Hooks.Quiet = append(c.Hooks.Quiet, hook("quiet"))
	c.Hooks.Shutdown = append(c.Hooks.Shutdown, hook("shutdown"))
	c.ErrorHandlers = append(c.ErrorHandlers, func(context.Context, error, *queue.Job) {
		b.call("error", 3)
	})
	c.DeathHandlers = append(c.DeathHandlers, func(context.Context, *queue.Job, error) {
		b.call("death", 1)
	})
	c.Observer = worker.Observers(c.Observer, b)
}

// call is one call of a callback. It ignores the end of its context. A callback that panics does
// it when the number of calls of all such callbacks can be divided by every.
func (b *callbacks) call(name string, every int64) {
	if d := b.takes[name]; d > 0 {
		<-time.After(d)
	}
	if slices.Contains(b.panics, name) && b.calls.Add(1)%every == 0 {
		panic("the callback " + name + " panics")
	}
}

// observed is the number of calls of an observer of which one panics. A hook panics more often,
// as it is called less often: an observer is called for every job.
const observed = 50

func (b *callbacks) Fetched(time.Duration, int, error) { b.call("fetched", observed) }
func (b *callbacks) Settled(time.Duration, int, error) { b.call("settled", observed) }
func (b *callbacks) Ran(worker.JobRun)                 { b.call("ran", observed) }
func (b *callbacks) Reclaimed(int, int)                { b.call("reclaimed", 1) }
