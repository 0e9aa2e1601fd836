package queue_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestBeat(t *testing.T) {
	t.Run("extends a lease until it is fenced", func(t *testing.T) {
		f := newFixture(t)
		leases, _ := f.store.Leases(t.Context())
		if len(leases) != 1 || leases[0].Ended || leases[0].Fenced {
			t.Fatalf("leases = %+v", leases)
		}
		if _, err := f.owner.Beat(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if ok, _ := f.store.Fence(t.Context(), leases[0]); ok {
			t.Error("fenced an owner that has extended its lease since the lease was read")
		}
		f.fence("h:1:a")
		if _, err := f.owner.Beat(t.Context(), time.Hour); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("beat after the fence: %v", err)
		}
	})
	t.Run("returns signals once, in order, and the paused queues", func(t *testing.T) {
		f := newFixture(t)
		f.raw.LPush(t.Context(), "h:1:a-signals", "TSTP")
		f.raw.LPush(t.Context(), "h:1:a-signals", "TERM")
		f.store.Pause(t.Context(), "b")
		o, err := f.owner.Beat(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.Signals, []string{"TSTP", "TERM"}) {
			t.Errorf("signals %v", o.Signals)
		}
		if !slices.Equal(o.Paused, []string{"b"}) {
			t.Errorf("paused queues %v", o.Paused)
		}
		if o, _ = f.owner.Beat(t.Context(), time.Minute); len(o.Signals) != 0 {
			t.Errorf("returned again: %v", o.Signals)
		}
	})
	t.Run("does not wait for pushes", testBeatBesidePushes)
}

func testBeatBesidePushes(t *testing.T) {
	f := newFixture(t)
	s := f.server.Store(func(c *queue.Config) { c.PoolSize, c.WaitReplicas = 2, 1 })
	o := s.Owner("h:1:a") // the fixture has registered it
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var unknown atomic.Int64
	for range 20 { // no replica confirms them, so each holds its connection for a second
		all.Go(func() {
			_, err := queue.NewClient(s).Push(ctx, "Job", nil, queue.Options{Queue: "a"})
			if errors.Is(err, queue.ErrUnknown) {
				unknown.Add(1)
			} else if !says(err, "nothing was pushed") {
				t.Errorf("push: %v", err)
			}
		})
	}
	testwait.Until(t, 10*time.Second, "pushes hold all their connections", func() bool {
		return strings.Contains(f.raw.Info(t.Context(), "clients").Val(), "blocked_clients:2")
	})
	soon, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := o.Beat(soon, time.Minute); err != nil {
		t.Error(err)
	}
	stop()
	all.Wait()
	if n := f.raw.LLen(t.Context(), "queue:a").Val(); n != unknown.Load() || n == 20 {
		t.Errorf("%d of 20 pushes are in Redis, %d have an unknown outcome", n, unknown.Load())
	}
}

func TestAlone(t *testing.T) {
	f := newFixture(t)
	d := &queue.Delivery{Queue: "a", Owner: f.owner, Token: f.store.Tokens(1)}
	marked := func() bool { return f.raw.HExists(t.Context(), "kyu:owner:h:1:a", "alone").Val() }
	late := f.store.Tokens(1) // the number of a call that arrives after later ones
	t.Run("marks a delivery until the next call", func(t *testing.T) {
		if err := f.owner.Alone(t.Context(), d); err != nil || !marked() {
			t.Fatalf("marked %t, %v", marked(), err)
		}
		if err := f.owner.Alone(t.Context(), nil); err != nil || marked() {
			t.Fatalf("marked %t, %v", marked(), err)
		}
	})
	t.Run("does nothing when it arrives after a later call", func(t *testing.T) {
		text, err := os.ReadFile("lua/alone.lua")
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.raw.Eval(t.Context(), string(text), []string{"kyu:owner:h:1:a"}, d.Token,
			late).Int()
		if err != nil || n != 0 || marked() {
			t.Errorf("result %d, marked %t, %v", n, marked(), err)
		}
	})
	t.Run("makes no record for an owner that was forgotten", func(t *testing.T) {
		f.raw.Del(t.Context(), "kyu:owner:h:1:a")
		if err := f.owner.Alone(t.Context(), d); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("err = %v, want ErrLeaseLost", err)
		}
		if err := f.owner.Alone(t.Context(), nil); err != nil {
			t.Errorf("the end of the mark: %v", err)
		}
		same(t, "the number of records", f.raw.Exists(t.Context(), "kyu:owner:h:1:a").Val(), 0)
	})
}

func TestBeside(t *testing.T) {
	t.Run("makes no record for an owner that was forgotten", func(t *testing.T) {
		f := newFixture(t)
		f.raw.Del(t.Context(), "kyu:owner:h:1:a")
		err := f.owner.Beside(t.Context(), &queue.Delivery{Token: 7})
		if !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("err = %v, want ErrLeaseLost", err)
		}
		same(t, "the number of records", f.raw.Exists(t.Context(), "kyu:owner:h:1:a").Val(), 0)
	})
}
