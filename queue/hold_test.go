package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// hold puts n jobs of a class, taken from a queue, aside.
func hold(f *fixture, name, class string, n int) {
	f.Helper()
	f.push(name, n)
	for _, d := range f.fetch(n) {
		settled, err := settleOne(f.Context(), f.store, queue.Settlement{
			Delivery: d, Action: queue.Hold, Payload: d.Raw, At: time.Now(), To: class})
		if err != nil || !settled {
			f.Fatal(settled, err)
		}
	}
}

func TestHeldJobsAreReleasedOnlyToWhoServesClassAndQueue(t *testing.T) {
	f := newFixture(t)
	hold(f, "a", "New", 5)
	hold(f, "b", "New", 3)
	hold(f, "b", "Other", 1)
	held, err := f.store.HeldClasses(t.Context())
	if err != nil || len(held) != 2 || held[0].Class != "New" || held[0].Size != 8 ||
		held[1].Size != 1 {
		t.Fatalf("%+v %v", held, err)
	}
	for _, c := range []struct {
		classes, queues []string
		moved           int
		at              string
	}{
		{nil, []string{"a"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		{[]string{"New"}, []string{"c"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		{[]string{"Nobody"}, []string{"a", "b"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		// pages of 2, past what is a's
		{[]string{"New"}, []string{"b"}, 3, "kyu:hold:New=5 kyu:hold:Other=1 queue:b=3"},
		{[]string{"Other", "New"}, []string{"a", "b"}, 6, "queue:a=5 queue:b=4"},
	} {
		moved, err := f.store.Release(t.Context(), c.classes, c.queues, 2)
		if err != nil || moved != c.moved {
			t.Errorf("%v of %v: moved %d, want %d, %v", c.classes, c.queues, moved, c.moved, err)
		}
		f.at(c.at)
	}
	if held, err := f.store.HeldClasses(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("%+v %v", held, err)
	}
}

func TestAPlaceIsKeptAndACancellationIsNeverOverwritten(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	if _, found, err := f.store.Iteration(ctx, "x"); found || err != nil {
		t.Error(found, err)
	}
	if since, err := f.store.SaveIteration(ctx, "x", queue.Iteration{Executions: 1,
		Cursor: []byte(`7`), Runtime: 1500 * time.Millisecond}); err != nil || !since.IsZero() {
		t.Error(since, err)
	}
	first, err := f.store.CancelIteration(ctx, "x")
	if err != nil || time.Since(first) > time.Minute {
		t.Fatal(first, err)
	}
	f.raw.HSet(ctx, "it-x", "cancelled", "1795345726")
	if again, err := f.store.CancelIteration(ctx, "x"); err != nil || again.Unix() != 1795345726 {
		t.Errorf("cancelled anew: %v %v", again, err)
	}
	if since, err := f.store.SaveIteration(ctx, "x", queue.Iteration{Executions: 2}); err != nil ||
		since.Unix() != 1795345726 {
		t.Errorf("the job did not learn of it: %v %v", since, err)
	}
	if got := f.raw.HGetAll(ctx, "it-x").Val(); got["c"] != "null" || got["ex"] != "2" ||
		got["rt"] != "0.0" {
		t.Errorf("%v", got)
	}
	if err := f.store.EndIteration(ctx, "x"); err != nil || f.raw.Exists(ctx, "it-x").Val() != 0 {
		t.Error(err)
	}
}

func TestDeploysAreListedByTime(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	for i, label := range []string{"second", "first"} {
		if made, err := f.store.MarkDeploy(t.Context(), label,
			now.Add(-time.Duration(i)*24*time.Hour)); err != nil || !made {
			t.Fatal(made, err)
		}
	}
	marks, err := f.store.Marks(t.Context(), 3, now)
	if err != nil || len(marks) != 2 || marks[0].Label != "first" || marks[1].Label != "second" ||
		marks[1].At.Second() != 0 {
		t.Errorf("%+v %v", marks, err)
	}
	var invalid *queue.InvalidError
	if _, err := f.store.MarkDeploy(t.Context(), " ", now); !errors.As(err, &invalid) {
		t.Error(err)
	}
	if _, err := f.store.Marks(t.Context(), 91, now); err == nil {
		t.Error("91 days of marks")
	}
}

func TestANamespaceIsBeforeEveryKeyAndNoMember(t *testing.T) {
	f := newFixture(t)
	store := f.server.Store(func(c *queue.Config) { c.Namespace, c.URL = "ns", f.server.Admin })
	ctx := t.Context()
	f.raw.FlushAll(ctx) // the owner of the fixture has no namespace
	client := queue.NewClient(store)
	if _, err := client.Push(ctx, "A", nil,
		queue.Options{Queue: "a", JID: "x", Idempotent: true}); err != nil {
		t.Fatal(err)
	}
	owner := store.Owner("h:1:n")
	if err := owner.Register(ctx, queue.Host{Name: "h"}, []string{"a"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	jobs, _, err := take(ctx, store, owner, []string{"a"}, 1, nil, nil)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	if _, err := store.Settle(ctx,
		[]queue.Settlement{{Delivery: jobs[0], Action: queue.Requeue}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Pause(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if jobs, _, err := take(ctx, store, owner, []string{"a"}, 1, nil, nil); err != nil ||
		len(jobs) != 0 {
		t.Errorf("a paused queue was served: %v %v", jobs, err)
	}
	for _, key := range f.raw.Keys(ctx, "*").Val() {
		if !strings.HasPrefix(key, "ns:") {
			t.Errorf("the key %s has no prefix", key)
		}
	}
	if got := fmt.Sprint(f.raw.SMembers(ctx, "ns:queues").Val(),
		f.raw.SMembers(ctx, "ns:paused").Val()); got != "[a] [a]" {
		t.Errorf("members %s", got)
	}
	list, err := store.Queues(ctx)
	if err != nil || len(list) != 1 || list[0].Size != 1 || !list[0].Paused {
		t.Errorf("%+v %v", list, err)
	}
}
