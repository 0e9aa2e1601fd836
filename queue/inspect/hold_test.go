package inspect_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

func TestHeldClasses(t *testing.T) {
	f := newFixture(t)
	f.raw.SAdd(t.Context(), "kyu:held", "Other", "New", "Released")
	f.raw.ZAdd(t.Context(), "kyu:hold:New", redis.Z{Score: 1000, Member: "a"},
		redis.Z{Score: 2000, Member: "b"})
	f.raw.ZAdd(t.Context(), "kyu:hold:Other", redis.Z{Score: 3000, Member: "c"})
	t.Run("returns the classes that have held jobs, by name", func(t *testing.T) {
		list, err := f.in.HeldClasses(t.Context())
		want := []inspect.Held{{Class: "New", Size: 2, Oldest: time.Unix(1000, 0)},
			{Class: "Other", Size: 1, Oldest: time.Unix(3000, 0)}}
		if err != nil || !slices.Equal(list, want) {
			t.Errorf("%+v %v", list, err)
		}
	})
}

func TestServed(t *testing.T) {
	f := newFixture(t)
	describe := func(identity string, host queue.Host) *queue.Owner {
		o := f.store.Owner(identity)
		if err := o.Register(t.Context(), host, []string{"a"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		return o
	}
	describe("h:2:b", queue.Host{Classes: []string{"A", "B"}, Pool: 7})
	gone := queue.Host{Classes: []string{"C"}}
	if err := describe("h:3:c", gone).Leave(t.Context(), gone, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	served, err := f.in.Served(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("returns the classes and the pool of a live worker", func(t *testing.T) {
		got := served["h:2:b"]
		if !slices.Equal(got.Classes, []string{"A", "B"}) || got.Pool != 7 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("leaves out a worker that has left", func(t *testing.T) {
		if got, found := served["h:3:c"]; found {
			t.Errorf("%+v", got)
		}
	})
}
