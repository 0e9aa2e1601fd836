package testjobs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// Configure changes a worker for tests, by variables of the environment; without them
// it changes nothing:
//
//	TEST_NO_POISON    jobs are never taken for poison
//	TEST_LEASE        a duration instead of 10 s
//	TEST_SLOW_HOOKS   callbacks that take their time: "heartbeat=8s ran=2ms"
//	TEST_PANIC_HOOKS  callbacks that panic: "heartbeat ran"
//
// A callback is one of startup, heartbeat, quiet, shutdown (hooks), error, death
// (handlers), fetched, settled, ran, reclaimed (of an observer).
func Configure(c *worker.Config) {
	if os.Getenv("TEST_NO_POISON") != "" {
		c.Poison.Times = -1
	}
	if text := os.Getenv("TEST_LEASE"); text != "" {
		c.Lease = duration(text)
	}
	slow, panics := os.Getenv("TEST_SLOW_HOOKS"), os.Getenv("TEST_PANIC_HOOKS")
	if slow+panics == "" {
		return
	}
	b := &callbacks{takes: map[string]time.Duration{}, panics: strings.Fields(panics)}
	for _, part := range strings.Fields(slow) {
		name, takes, _ := strings.Cut(part, "=")
		b.takes[name] = duration(takes)
	}
	b.join(c)
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Errorf("a TEST_ variable: %w", err))
	}
	return d
}

// callbacks are a user's, of the worst kind.
type callbacks struct {
	takes  map[string]time.Duration
	panics []string
	calls  atomic.Int64
}

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

// call takes its time, whatever becomes of a context, and panics at every so-manieth
// call of all callbacks.
func (b *callbacks) call(name string, every int64) {
	if d := b.takes[name]; d > 0 {
		<-time.After(d)
	}
	if slices.Contains(b.panics, name) && b.calls.Add(1)%every == 0 {
		panic("the callback " + name + " panics")
	}
}

// observed is how many calls of an observer come to one that panics: they come with
// every job.
const observed = 50

func (b *callbacks) Fetched(time.Duration, int, error) { b.call("fetched", observed) }
func (b *callbacks) Settled(time.Duration, int, error) { b.call("settled", observed) }
func (b *callbacks) Ran(worker.JobRun)                 { b.call("ran", observed) }
func (b *callbacks) Reclaimed(int, int)                { b.call("reclaimed", 1) }
