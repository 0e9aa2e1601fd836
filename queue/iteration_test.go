package queue_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestIteration(t *testing.T) {
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
