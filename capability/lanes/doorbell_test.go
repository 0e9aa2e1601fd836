package lanes_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

// A doorbell can take a job from the list after lanes were turned off: it hung before.
func TestLateDoorbell(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T) *bench {
		b := newBench(t)
		b.rule("key=args.0")
		_, err := b.control.Drain(t.Context(), "a")
		b.must(err)
		b.push("x1")
		b.must(b.raw.LMove(t.Context(), "queue:a", "kyu:{queue:a}:lanes:arrived", "RIGHT",
			"LEFT").Err())
		return b
	}
	t.Run("gives its job back with the next refresh", func(t *testing.T) {
		t.Parallel()
		b := late(t)
		_, err := b.lanes.Refresh(t.Context(), []string{"a"})
		b.must(err)
		b.same("jobs in the list", b.raw.LLen(t.Context(), "queue:a").Val(), int64(1))
	})
	t.Run("loses no job when the rule is forgotten", func(t *testing.T) {
		t.Parallel()
		b := late(t)
		gone, err := b.control.Forget(t.Context(), "a")
		b.must(err)
		b.same("forgotten", gone, true)
		b.same("jobs in the list", b.raw.LLen(t.Context(), "queue:a").Val(), int64(1))
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	t.Run("finds a closed lane whose time has come, if nothing else wakes a process",
		func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.rule("key=args.0")
			b.push("x1")
			b.sift()
			b.must(b.control.Close(t.Context(), "a", "x", 50*time.Millisecond))
			testwait.Until(t, 5*time.Second, "a job of a may run", func() bool {
				waiting, err := b.lanes.Refresh(t.Context(), []string{"a"})
				b.must(err)
				return len(waiting) == 1
			})
		})
}
