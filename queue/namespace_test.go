package queue_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestNamespace(t *testing.T) {
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
	list, err := inspect.New(store).Queues(ctx)
	if err != nil || len(list) != 1 || list[0].Size != 1 || !list[0].Paused {
		t.Errorf("%+v %v", list, err)
	}
}
