package unique_test

import (
	"context"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
)

// TestCarry drains a shard whose jobs hold locks.
func TestCarry(t *testing.T) {
	a, b := newBench(t), newBench(t)
	from, to := queue.Shard{Name: "a", Store: a.store}, queue.Shard{Name: "b", Store: b.store}
	locks := unique.Client(map[string]unique.Lock{"Job": {Kind: unique.UntilDone}})
	inA, inB := queue.NewClient(a.store, locks), queue.NewClient(b.store, locks)
	push := func(c *queue.Client, arg int, in time.Duration) string {
		jid, err := c.PushIn(t.Context(), in, "Job", []any{arg}, queue.Options{Queue: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return jid
	}
	for i := range 20 {
		push(inA, i, time.Duration(i%2)*time.Hour)
	}
	before := a.lockKeys()
	m := &queue.Mover{From: from, Others: []queue.Shard{to}, Active: []queue.Shard{to},
		To: []queue.Shard{to}}
	if _, err := m.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("moves each job with its lock", func(t *testing.T) {
		a.same("locks in a", a.lockKeys(), "")
		b.same("locks in b", b.lockKeys(), before)
		if n := b.raw.LLen(t.Context(), "queue:a").Val() +
			b.raw.ZCard(t.Context(), "schedule").Val(); n != 20 {
			t.Errorf("%d jobs in b, want 20", n)
		}
	})
	t.Run("keeps a second job out", func(t *testing.T) {
		for i := range 20 {
			if jid := push(inB, i, 0); jid != "" {
				t.Errorf("the lock %d was free", i)
			}
		}
	})
	t.Run("frees the locks when the jobs have run", func(t *testing.T) {
		b.work(func(context.Context, *queue.Job) error { return nil })
		b.until("the locks are free", func() bool { return push(inB, 0, time.Hour) != "" })
		if jid := push(inB, 1, 0); jid != "" {
			t.Error("the lock of a job that has not run is free:", jid)
		}
	})
}
