package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestOpen(t *testing.T) {
	f := newFixture(t, "--requirepass", "")
	f.raw.ConfigSet(t.Context(), "requirepass", "secret")
	for url, want := range map[string]string{
		"redis://127.0.0.1:1":                  "is it running",
		f.server.Admin:                         "wants a password",
		"redis://:bad@" + f.server.Addr + "/0": "refuses the user or password",
		"redis://x y":                          "is not understood",
	} {
		t.Run("says: "+want, func(t *testing.T) {
			_, err := queue.Open(t.Context(), queue.Config{URL: url})
			if !says(err, want) {
				t.Error(err)
			}
			if says(err, "bad") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestStore(t *testing.T) {
	t.Run("does not use a connection that the server has closed", func(t *testing.T) {
		s := redistest.Start(t)
		c := queue.NewClient(s.Store())
		for range 3 {
			if _, err := c.Push(t.Context(), "Job", nil, queue.Options{}); err != nil {
				t.Fatal(err)
			}
			s.Kill()
			s.Restart()
		}
	})
	t.Run("takes jobs out of a full Redis, which refuses pushes", func(t *testing.T) {
		f := newFixture(t, "--maxmemory-policy", "noeviction")
		f.push("a", 10)
		f.raw.ConfigSet(t.Context(), "maxmemory", "1")
		_, err := f.client.Push(t.Context(), "Job", nil, queue.Options{})
		if !says(err, "OOM") || errors.Is(err, queue.ErrUnknown) {
			t.Errorf("push: %v, want a refusal", err)
		}
		jobs := f.fetch(10)
		if len(jobs) != 10 {
			t.Fatalf("fetched %d", len(jobs))
		}
		for i, a := range []queue.Action{queue.Retry, queue.Dead, queue.Requeue, queue.Schedule,
			queue.Done} {
			if !f.settle(jobs[i], a, jobs[i].Raw) {
				t.Errorf("%s was not settled", a)
			}
		}
		if _, err := f.owner.Beat(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
	})
}

func TestNamespace(t *testing.T) {
	f := newFixture(t)
	f.raw.FlushAll(t.Context()) // the fixture's owner has no namespace
	f.store = f.server.Store(func(c *queue.Config) { c.Namespace, c.URL = "ns", f.server.Admin })
	f.client, f.owner = queue.NewClient(f.store), f.newOwner("h:1:n")
	ctx := t.Context()
	if _, err := f.client.Push(ctx, "A", nil,
		queue.Options{Queue: "a", JID: "x", Idempotent: true}); err != nil {
		t.Fatal(err)
	}
	f.settle(f.fetch(1)[0], queue.Requeue, "")
	if err := f.store.Pause(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	t.Run("is the prefix of every key", func(t *testing.T) {
		for _, key := range f.raw.Keys(ctx, "*").Val() {
			if !strings.HasPrefix(key, "ns:") {
				t.Errorf("the key %s has no prefix", key)
			}
		}
	})
	t.Run("is not in the names of queues", func(t *testing.T) {
		same(t, "queues", fmt.Sprint(f.raw.SMembers(ctx, "ns:queues").Val()), "[a]")
		same(t, "paused", fmt.Sprint(f.raw.SMembers(ctx, "ns:paused").Val()), "[a]")
	})
	t.Run("is used for paused queues", func(t *testing.T) {
		same(t, "the number of jobs of a paused queue", len(f.in(t).fetch(1)), 0)
	})
	t.Run("is used by an Inspector", func(t *testing.T) {
		list, err := inspect.New(f.store).Queues(ctx)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v %v", list, err)
		}
		same(t, "the size", list[0].Size, 1)
		same(t, "paused", list[0].Paused, true)
	})
}
