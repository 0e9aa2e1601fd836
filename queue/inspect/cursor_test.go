package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// shortContext ends with a passed deadline after a number of round trips.
type shortContext struct {
	context.Context
	left *atomic.Int64
	done chan struct{}
}

func (c *shortContext) Done() <-chan struct{} { return c.done }

func (c *shortContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Deadline is past when the context has ended.
func (c *shortContext) Deadline() (end time.Time, has bool) {
	return time.Now(), c.Err() != nil
}

// trips counts the round trips of short contexts.
type trips struct{}

func (trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer ended(ctx)
		return next(ctx, cmd)
	}
}

func (trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		defer ended(ctx)
		return next(ctx, cmds)
	}
}

func ended(ctx context.Context) {
	if c, short := ctx.(*shortContext); short && c.left.Add(-1) == 0 {
		close(c.done)
	}
}

// parts looks for a job in parts of 15 round trips, and calls between after each.
func (f *fixture) parts(jid string, between func()) (p inspect.Place, j *queue.Job, n int,
	err error) {
	f.Helper()
	var reached inspect.Cursor
	for n = 1; n < 1000; n++ {
		ctx := &shortContext{f.Context(), new(atomic.Int64), make(chan struct{})}
		ctx.left.Store(15)
		from := reached
		p, j, reached, err = f.in.LocateFrom(ctx, jid, from)
		if j != nil || err != nil {
			return p, j, n, err
		}
		if reached.Read < from.Read || reached == from {
			f.Fatalf("it went from %+v to %+v", from, reached)
		}
		if reached, err = inspect.ParseCursor(reached.String()); err != nil {
			f.Fatal(err)
		}
		between()
	}
	f.Fatal("it does not end: ", reached)
	return p, j, n, err
}

func TestLocateFrom(t *testing.T) {
	f := newFixture(t)
	f.store.DB().Shared.AddHook(trips{})
	f.raw.FlushDB(t.Context())
	for key := range places {
		for i := range 4000 {
			f.place(key, fmt.Sprintf(`{"class":"A","jid":"%s-%d.","queue":"push","args":[]}`, key,
				i))
		}
	}
	for i := range 20 {
		f.raw.SAdd(t.Context(), "queues", fmt.Sprint("q", i))
		f.raw.LPush(t.Context(), fmt.Sprint("queue:q", i), `{"class":"A","jid":"q","args":[]}`)
	}
	more := 0
	push := func() { // jobs that come meanwhile shift the pages
		more++
		f.place("queue:push", fmt.Sprintf(`{"class":"A","jid":"more%d","args":[]}`, more))
		f.raw.Del(t.Context(), fmt.Sprint("queue:q", more))
		f.raw.SRem(t.Context(), "queues", fmt.Sprint("q", more))
	}
	for key, want := range places {
		t.Run("finds a job of "+key+" in parts", func(t *testing.T) {
			for _, i := range []int{0, 2345, 3999} {
				p, j, _, err := f.sub(t).parts(fmt.Sprintf("%s-%d.", key, i), push)
				if err != nil || j == nil || p.Kind != want.Kind {
					t.Errorf("%d: %+v %v", i, p, err)
				}
			}
		})
	}
	t.Run("says after two walks that a job is nowhere", func(t *testing.T) {
		_, _, n, err := f.sub(t).parts("nowhere", func() {})
		if !errors.Is(err, queue.ErrNotFound) || n < 6 {
			t.Error(n, err)
		}
	})
}

func TestParseCursor(t *testing.T) {
	for _, text := range []string{"x", "1.2", "1.2.0.0.", "1.0.9.0.", "-1.0.0.0.", "1.0.0.0.%%",
		"1.0.0.99999999999999999999.", "1.0.0.0.YQ.1"} {
		if c, err := inspect.ParseCursor(text); err == nil || c != (inspect.Cursor{}) {
			t.Errorf("%q: %+v, no error", text, c)
		}
	}
	if c, err := inspect.ParseCursor(""); err != nil || c != (inspect.Cursor{}) {
		t.Error(c, err)
	}
}
