package starvation

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestWorkload(t *testing.T) {
	viral, err := findBurst("viral")
	if err != nil {
		t.Fatal(err)
	}
	load := func(seed uint64, length time.Duration) []arrival {
		return workload(seed, 0.6, length, time.Minute, viral)
	}
	first := load(1, 6*time.Minute)
	t.Run("the seed decides", func(t *testing.T) {
		if !slices.Equal(first, load(1, 6*time.Minute)) {
			t.Error("one seed gives two loads")
		}
		if slices.Equal(first, load(2, 6*time.Minute)) {
			t.Error("two seeds give one load")
		}
	})
	t.Run("a longer load begins like a shorter one", func(t *testing.T) {
		if longer := load(1, 10*time.Minute); !slices.Equal(first, longer[:len(first)]) {
			t.Error("the first six minutes differ")
		}
	})
	t.Run("is in the order of time", func(t *testing.T) {
		if !slices.IsSortedFunc(first, func(a, b arrival) int { return int(a.at - b.at) }) {
			t.Error("is not sorted")
		}
	})
	t.Run("keeps the threads as busy as asked before the burst", func(t *testing.T) {
		work := 0.0
		for _, a := range first {
			if a.at < time.Minute {
				work += a.takes.Seconds()
			}
		}
		if busy := work / 60 / threads; math.Abs(busy-0.6) > 0.1 {
			t.Errorf("%.2f of the threads are busy, want 0.6", busy)
		}
	})
	t.Run("an unknown burst is refused", func(t *testing.T) {
		for _, name := range []string{"", "flood"} {
			if _, err := findBurst(name); err == nil {
				t.Errorf("--burst %q is taken", name)
			}
		}
	})
}
