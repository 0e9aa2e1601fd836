package lanes_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestLanes(t *testing.T) {
	t.Parallel()
	t.Run("park the jobs of a full lane and run those of others", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1 x2 x3 y1")
		first := b.take(4)
		b.same("jobs before a sift", names(first.Own()), "")
		b.same("unseen", len(first.Unseen), 1)
		b.sift()
		f := b.take(4)
		b.same("jobs", names(f.Own()), "x1 y1")
		b.same("unseen", len(f.Unseen), 0)
		b.same("status", b.status(), "running 2, parked 2, ready 0, full 1, closed 0")
		b.same("the next job of x", names(b.take(4, f.Own()[0]).Own()), "x2")
	})
	t.Run("hold up the queues behind only until their lists are sifted", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1 x2")
		b.raw.LPush(t.Context(), "queue:b", payload("b", "z", 1))
		b.same("jobs before a sift", names(b.take(3).Own()), "")
		b.sift()
		b.same("jobs", names(b.take(3).Own()), "x1 z1")
	})
	t.Run("have turns by their weights", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,weight.x=2")
		b.register("me")
		b.push("x1 x2 x3 x4 x5 x6 y1 y2 y3")
		b.sift()
		b.same("jobs", names(b.take(9).Own()), "x1 y1 x2 y2 x3 x4 y3 x5 x6")
	})
	t.Run("begin behind those who wait, not with credit for their rest", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0")
		b.register("me")
		b.push("x1 x2 x3 x4 x5")
		b.sift()
		b.same("jobs", names(b.take(3).Own()), "x1 x2 x3")
		b.push("y1 y2 y3 y4")
		b.sift()
		b.same("jobs", names(b.take(6).Own()), "y1 x4 y2 x5 y3 y4")
	})
	t.Run("limit all jobs of a queue", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,total=2")
		b.register("me")
		b.push("x1 y1 z1")
		b.sift()
		f := b.take(5)
		b.same("jobs", names(f.Own()), "x1 y1")
		b.same("jobs after one has ended", names(b.take(5, f.Own()[1]).Own()), "z1")
	})
	t.Run("limit a queue without a key", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("max=2")
		b.register("me")
		b.push("x1 y1 z1")
		b.sift()
		b.same("jobs", names(b.take(5).Own()), "x1 y1")
	})
	t.Run("open by their rate", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,rate=1/h,burst=2")
		b.register("me")
		b.push("x1 x2 x3 y1")
		b.sift()
		f := b.take(5)
		b.same("jobs", names(f.Own()), "x1 y1 x2")
		if f = b.take(5); f.Opens < 59*time.Minute || f.Opens > time.Hour {
			t.Errorf("opens in %v, want an hour", f.Opens)
		}
		b.same("status", b.status(), "running 3, parked 1, ready 0, full 0, closed 1")
	})
	t.Run("keep the order of a lane over a requeue and a reclaim", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=2")
		b.register("dead")
		b.push("x1 x2 x3 x4")
		b.sift()
		f := b.take(2)
		b.same("jobs", names(f.Own()), "x1 x2")
		r, err := b.store.Settle(t.Context(), []queue.Settlement{
			{Delivery: f.Own()[1], Action: queue.Requeue}})
		b.must(err)
		b.same("settled", r[0], queue.Settled)
		_, _, err = b.store.Reclaim(t.Context(), "dead", "a", queue.Poison{}, 10)
		b.must(err)
		b.same("status", b.status(), "running 0, parked 4, ready 1, full 0, closed 0")
		b.register("me")
		b.same("jobs", names(b.take(4).Own()), "x1 x2")
	})
	t.Run("close after a 429", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0")
		b.register("me")
		b.push("x1 x2 y1")
		b.sift()
		f := b.take(1)
		_, err := b.store.Settle(t.Context(), []queue.Settlement{{Delivery: f.Own()[0],
			Action: queue.Requeue, At: time.Now().Add(time.Hour)}})
		b.must(err)
		b.same("jobs", names(b.take(4).Own()), "y1")
		b.must(b.control.Close(t.Context(), "a", "x", 0))
		b.same("jobs of the open lane", names(b.take(4).Own()), "x1 x2")
	})
	t.Run("leave nothing behind", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=2,rate=1000/s,burst=9")
		b.register("me")
		b.push("x1 x2 x3 y1")
		b.sift()
		f := b.take(2)
		b.take(0, f.Own()...)
		f = b.take(2)
		_, err := b.store.Settle(t.Context(), []queue.Settlement{
			{Delivery: f.Own()[0], Action: queue.Done},
			{Delivery: f.Own()[1], Action: queue.Dead, Payload: f.Own()[1].Raw, At: time.Now()}})
		b.must(err)
		testwait.Until(t, time.Second, "the arrival times are past", func() bool {
			b.take(1)
			return b.left() == ""
		})
		b.same("status", b.status(), "running 0, parked 0, ready 0, full 0, closed 0")
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("gives parked jobs back in the order of each lane", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.rule("key=args.0,max=1")
		b.register("me")
		b.push("x1 x2 x3 y1 y2")
		b.sift()
		f := b.take(2)
		b.push("z1")
		n, err := b.control.Drain(t.Context(), "a")
		b.must(err)
		b.same("jobs given back", n, 3)
		b.same("jobs", names(b.take(9, f.Own()...).Own()), "y2 x2 x3 z1")
	})
}
