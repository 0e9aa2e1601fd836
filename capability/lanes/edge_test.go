package lanes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
)

func TestTake(t *testing.T) {
	t.Parallel()
	t.Run("frees the lane of a finished job when it takes none", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1 x2")
		b.sift()
		f := b.take(1)
		_, err := b.owner.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a", "b"},
			Done: f.Own(), Adopt: []int{0}})
		b.must(err)
		b.same("status", b.status(), "running 0, parked 1, ready 1, full 0, closed 0")
	})
	t.Run("frees the lane of a finished job when the lease is lost", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1 x2")
		b.sift()
		f := b.take(1)
		b.raw.ZRem(t.Context(), "kyu:leases", "me")
		_, err := b.owner.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a"}, Want: 1,
			First: b.store.Tokens(1), Done: f.Own()})
		if !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("error %v, want a lost lease", err)
		}
		b.same("status", b.status(), "running 0, parked 1, ready 1, full 0, closed 0")
	})
	t.Run("frees the lane of a finished job after lanes were turned off", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1")
		b.sift()
		f := b.take(1)
		_, err := b.control.Drain(t.Context(), "a")
		b.must(err)
		_, err = b.owner.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a"}, Want: 1,
			First: b.store.Tokens(1), Done: f.Own()})
		b.must(err)
		b.same("status", b.status(), "running 0, parked 0, ready 0, full 0, closed 0")
	})
	t.Run("takes a job only as far as bytes allow", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0")
		b.register("me")
		b.push("x1 y1 z1")
		b.sift()
		f, err := b.owner.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a"}, Want: 3,
			First: b.store.Tokens(3), Sources: []int{0}, Bytes: 2*len(payload("a", "x", 1)) + 5})
		b.must(err)
		b.same("jobs", names(f.Own()), "x1 y1")
		b.same("more", f.More, true)
		b.same("jobs of the next fetch", names(b.take(3).Own()), "z1")
	})
	t.Run("buries a job that is too large and goes on", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.use(b.server.Store(func(c *queue.Config) {
			c.Capabilities, c.MaxTaken = []queue.Capability{lanes.Capability()}, 1<<20
		}))
		b.rule("key=args.0,max=1")
		b.register("me")
		big := strings.Replace(payload("a", "x", 0), `"retry"`,
			`"pad":"`+strings.Repeat("p", 1<<20)+`","retry"`, 1)
		b.must(b.raw.LPush(t.Context(), "queue:a", big).Err())
		b.push("x1 y1")
		b.sift()
		f := b.take(5)
		b.same("jobs", names(f.Own()), "x1 y1")
		b.same("buried", f.Oversized, 1)
		b.same("dead", b.raw.ZCard(t.Context(), "dead").Val(), int64(1))
	})
	t.Run("passes over a paused queue and those behind it are served", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0")
		b.register("me")
		b.push("x1")
		b.raw.LPush(t.Context(), "queue:b", payload("b", "z", 1))
		b.must(b.store.Pause(t.Context(), "a"))
		b.same("jobs", names(b.take(3).Own()), "z1")
	})
	t.Run("leaves a queue alone whose keys have wrong types", func(t *testing.T) {
		t.Parallel()
		for _, key := range []string{":ready", ":busy", ":wait", ""} {
			b := newBench(t)
			b.rule("key=args.0,max=1")
			b.register("me")
			b.push("x1")
			b.sift()
			b.raw.LPush(t.Context(), "queue:b", payload("b", "z", 1))
			b.raw.Del(t.Context(), "kyu:{queue:a}:lanes"+key)
			b.raw.Set(t.Context(), "kyu:{queue:a}:lanes"+key, "wrong", 0)
			f := b.take(3)
			b.same("jobs with a wrong "+key, names(f.Own()), "z1")
			b.same("the queue is refused", slices.Contains(f.Refused, 0), true)
		}
	})
}
