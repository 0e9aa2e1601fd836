package queue_test

import (
	"context"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestJobSetWithWrongTypes(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.spoil("queue:x", "dead")
	f.due("retry", "x", "x0", 1)
	f.due("retry", "a", "a0", 1)
	set := inspect.New(f.store).RetrySet()
	for name, c := range map[string]struct {
		op  func(context.Context, ...queue.Entry) (int, error)
		key string
	}{
		"Retry": {set.Retry, "queue:x"}, "AddToQueue": {set.AddToQueue, "queue:x"},
		"Kill": {set.Kill, "dead"},
	} {
		t.Run(name+" keeps the entry, and names the key", func(t *testing.T) {
			e, err := set.Find(ctx, "x0")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.op(ctx, e); n != 0 || !says(err, c.key, "stay") {
				t.Errorf("moved %d, %v", n, err)
			}
			f.in(t).at("dead=0 queue:x=0 retry=2")
		})
	}
	t.Run("All moves the other entries", func(t *testing.T) {
		if n, err := set.All(ctx, set.Retry); n != 1 || !says(err, "queue:x") {
			t.Errorf("moved %d, %v", n, err)
		}
		f.in(t).at("dead=0 queue:a=1 queue:x=0 retry=1")
	})
}
