package lanes_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// parked parks x2 and x3 behind x1, which runs, and leaves z1 in the list.
func parked(t *testing.T) (*bench, *queue.Delivery) {
	t.Helper()
	b := newBench(t)
	b.rule("key=args.0,max=1")
	b.register("me")
	b.push("x1 x2 x3")
	b.sift()
	f := b.take(3)
	b.same("jobs", names(f.Own()), "x1")
	b.push("z1")
	return b, f.Own()[0]
}

func TestView(t *testing.T) {
	t.Parallel()
	t.Run("counts parked jobs as jobs of their queue", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.raw.Del(b.Context(), "queues") // as Ruby's Queue#clear does
		in := inspect.New(b.store)
		list, err := in.Queues(b.Context())
		b.must(err)
		if len(list) != 1 || list[0].Size != 3 || list[0].Parked != 2 || list[0].Listed() != 1 {
			t.Errorf("queues: %+v", list)
		}
		st, err := in.Stats(b.Context())
		b.must(err)
		b.same("enqueued", st.Enqueued, int64(3))
		b.same("parked", st.Parked, int64(2))
		live, err := in.LiveState(b.Context())
		b.must(err)
		b.same("live", fmt.Sprint(live.Queues), "[{a 3 false 2}]")
	})
	t.Run("counts a job that a doorbell took", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.raw.LMove(b.Context(), "queue:a", "kyu:{queue:a}:lanes:arrived", "RIGHT", "LEFT")
		in := inspect.New(b.store)
		info, err := in.Queue(b.Context(), "a")
		b.must(err)
		b.same("size", info.Size, int64(3))
		p, _, err := in.Locate(b.Context(), "z1")
		b.must(err)
		b.same("place", p.Kind, inspect.InQueue)
	})
	t.Run("has the age of the job whose turn it is", func(t *testing.T) {
		t.Parallel()
		b, x := parked(t)
		b.raw.Del(b.Context(), "queue:a")
		in := inspect.New(b.store)
		info, err := in.Queue(b.Context(), "a")
		b.must(err)
		b.same("age while the lane is full", info.Latency, 0.0)
		b.take(0, x)
		info, err = in.Queue(b.Context(), "a")
		b.must(err)
		if info.Latency < 1e6 {
			t.Errorf("age %v s, want that of x2", info.Latency)
		}
	})
	t.Run("writes parked jobs into the history", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		_, broken, ok, err := b.owner.FlushHistory(b.Context(), queue.Flush{Field: "f", Number: 1},
			[]queue.Flow{{Queue: "b"}, {Queue: "a", Out: 4, Left: 5}})
		b.must(err)
		if !ok || len(broken) > 0 {
			t.Fatalf("broken: %v", broken)
		}
		points, _, err := inspect.New(b.store).QueueHistory(b.Context(), "a", time.Minute)
		b.must(err)
		last := points[len(points)-1]
		b.same("size", last.Size, int64(3))
		b.same("out", last.Out, int64(4))
	})
	t.Run("finds a parked job, and says why it waits", func(t *testing.T) {
		t.Parallel()
		b, x := parked(t)
		in := inspect.New(b.store)
		p, j, err := in.Locate(b.Context(), "x3")
		b.must(err)
		b.same("place", fmt.Sprint(p.Kind, " ", p.Queue, " ", p.Lane, " ", p.Before), "lane a x 1")
		b.explains(p, "is full: 1 of its jobs run")
		reasons, err := in.Explain(b.Context(), p, j)
		b.must(err)
		if !strings.Contains(fmt.Sprint(reasons), `in the lane "x" of the queue a, behind 1 jobs`) {
			t.Errorf("reasons: %v", reasons)
		}
		b.take(0, x)
		b.explains(p, "waits for its turn among 1 lanes")
		b.must(b.control.Close(b.Context(), "a", "x", time.Hour))
		b.explains(p, "closed for another 1h0m0s")
	})
	t.Run("are off while an operation goes through the queue", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		in := inspect.New(b.store)
		o, err := in.Begin(b.Context(), inspect.Request{Verb: queue.VerbDelete, Queue: "a"})
		b.must(err)
		b.must(o.Run(b.Context(), func(inspect.Operation) {
			s, err := b.control.Status(b.Context(), "a")
			b.must(err)
			b.same("on", s.On(), false)
		}))
		b.same("deleted", o.Changed, 3)
		s, err := b.control.Status(b.Context(), "a")
		b.must(err)
		b.same("on afterwards", s.On(), true)
		b.same("parked", s.Parked, int64(0))
	})
	t.Run("are emptied when the queue is cleared", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.must(b.store.ClearQueue(b.Context(), "a"))
		b.same("status", b.status(), "running 1, parked 0, ready 0, full 0, closed 0")
		b.same("jobs", b.raw.LLen(b.Context(), "queue:a").Val(), int64(0))
	})
	t.Run("come on again by themselves after an operation that has died", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.must(b.store.Suspend(b.Context(), "a", 100*time.Millisecond))
		b.same("jobs", b.raw.LLen(b.Context(), "queue:a").Val(), int64(3))
		testwait.Until(t, 5*time.Second, "lanes are on", func() bool {
			s, err := b.control.Status(b.Context(), "a")
			return err == nil && s.On()
		})
		b.sift()
		b.same("jobs that are not sifted", b.raw.LLen(b.Context(), "queue:a").Val(), int64(0))
	})
	t.Run("lists the lanes with the most parked jobs at first", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.push("y1 y2 y3 w1")
		b.must(b.control.Close(b.Context(), "a", "y", time.Hour))
		b.sift()
		b.same("largest", b.largest(9), "y closed 3 0, x full 2 1, w ready 1 0, z ready 1 0")
		b.same("the two largest", b.largest(2), "y closed 3 0, x full 2 1")
		b.take(9)
		b.same("with those that only run", b.largest(9),
			"y closed 3 0, x full 2 1, w idle 0 1, z idle 0 1")
	})
}

// explains checks what is said about a place.
func (b *bench) explains(p inspect.Place, want string) {
	b.Helper()
	reasons, err := b.control.Explain(b.Context(), p)
	b.must(err)
	if len(reasons) != 1 || !strings.Contains(reasons[0].Text, want) {
		b.Errorf("reasons %v, want %s", reasons, want)
	}
}

// largest returns the largest lanes, with the jobs that are parked and that run.
func (b *bench) largest(n int) string {
	b.Helper()
	list, err := b.control.Largest(b.Context(), "a", n)
	b.must(err)
	var words []string
	for _, l := range list {
		words = append(words, fmt.Sprint(l.Name, " ", l.State, " ", l.Parked, " ", l.Running))
	}
	if len(words) == 4 && words[2] > words[3] && strings.Contains(words[3], "idle") {
		words[2], words[3] = words[3], words[2] // they come in no order
	}
	return strings.Join(words, ", ")
}

func TestRepair(t *testing.T) {
	t.Parallel()
	t.Run("finds nothing where the counts are right", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		leak, err := b.control.Repair(b.Context(), "a")
		b.must(err)
		b.same("leak", leak, lanes.Leak{})
		b.same("status", b.status(), "running 1, parked 2, ready 0, full 1, closed 0")
	})
	t.Run("lets a lane go on whose jobs were removed without it", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		// as a program does that does not know lanes
		b.raw.Del(b.Context(), "kyu:{queue:a}:inflight:me", "kyu:owner:me")
		b.raw.ZRem(b.Context(), "kyu:leases", "me")
		b.register("other")
		want := lanes.Leak{Places: 1, Lanes: 1, Jobs: 1}
		leak, err := b.control.Leak(b.Context(), "a")
		b.must(err)
		b.same("leak", leak, want)
		b.same("jobs", names(b.take(3).Own()), "")
		leak, err = b.control.Repair(b.Context(), "a")
		b.must(err)
		b.same("leak", leak, want)
		b.same("status", b.status(), "running 0, parked 2, ready 1, full 0, closed 0")
		b.same("jobs", names(b.take(1).Own()), "x2")
		leak, err = b.control.Leak(b.Context(), "a")
		b.must(err)
		b.same("leak", leak, lanes.Leak{})
	})
	t.Run("counts a job of a lane that counts none", func(t *testing.T) {
		t.Parallel()
		b, _ := parked(t)
		b.raw.Del(b.Context(), "kyu:{queue:a}:lanes:busy")
		leak, err := b.control.Repair(b.Context(), "a")
		b.must(err)
		b.same("leak", leak, lanes.Leak{Lanes: 1, Jobs: 1})
		b.same("busy", b.raw.HGet(b.Context(), "kyu:{queue:a}:lanes:busy", "x").Val(), "1")
	})
}
