package top

import (
	"strings"
	"testing"
	"time"
)

func TestTurn(t *testing.T) {
	var turn turn
	next := func(t *testing.T, ids string, second int, want string) {
		t.Helper()
		got := strings.Join(turn.next(strings.Fields(ids), 2,
			noon.Add(time.Duration(second)*time.Second)), " ")
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	t.Run("reads those first that were not read for the longest time", func(t *testing.T) {
		next(t, "a b c", 1, "a b")
		if _, all := turn.oldest([]string{"a", "b", "c"}); all {
			t.Error("c was not read")
		}
		next(t, "a b c", 2, "c a")
		next(t, "a b c", 3, "b a")
		at, all := turn.oldest([]string{"a", "b", "c"})
		if !all || !at.Equal(noon.Add(2*time.Second)) {
			t.Error(at, all)
		}
	})
	t.Run("reads new ones at once, and forgets those that have gone", func(t *testing.T) {
		next(t, "b d", 4, "d b")
		next(t, "a b d", 5, "a b")
	})
}
