package queue_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestIteration(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	t.Run("is not found before a job begins", func(t *testing.T) {
		if _, found, err := f.store.Iteration(ctx, "x"); found || err != nil {
			t.Error(found, err)
		}
	})
	t.Run("is saved with the cursor and the runtime", func(t *testing.T) {
		since, err := f.store.SaveIteration(ctx, "x", queue.Iteration{Executions: 1,
			Cursor: []byte(`7`), Runtime: 1500 * time.Millisecond})
		if err != nil || !since.IsZero() {
			t.Error(since, err)
		}
		it, found, err := f.store.Iteration(ctx, "x")
		if err != nil || !found {
			t.Fatal(found, err)
		}
		same(t, "the cursor", string(it.Cursor), "7")
		same(t, "the runtime", it.Runtime, 1500*time.Millisecond)
	})
	t.Run("keeps the time of the first cancellation", func(t *testing.T) {
		first, err := f.store.CancelIteration(ctx, "x")
		if err != nil || time.Since(first) > time.Minute {
			t.Fatal(first, err)
		}
		f.raw.HSet(ctx, "it-x", "cancelled", "1795345726")
		again, err := f.store.CancelIteration(ctx, "x")
		if err != nil || again.Unix() != 1795345726 {
			t.Errorf("%v %v", again, err)
		}
	})
	t.Run("returns the cancellation when it is saved, without a cursor too", func(t *testing.T) {
		since, err := f.store.SaveIteration(ctx, "x", queue.Iteration{Executions: 2})
		if err != nil || since.Unix() != 1795345726 {
			t.Errorf("%v %v", since, err)
		}
		got := f.raw.HGetAll(ctx, "it-x").Val()
		same(t, "c", got["c"], "null")
		same(t, "ex", got["ex"], "2")
		same(t, "rt", got["rt"], "0.0")
	})
	t.Run("is deleted at the end", func(t *testing.T) {
		if err := f.store.EndIteration(ctx, "x"); err != nil {
			t.Error(err)
		}
		same(t, "the number of keys", f.raw.Exists(ctx, "it-x").Val(), 0)
	})
}
