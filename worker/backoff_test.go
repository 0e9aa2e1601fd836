package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoffGrowsIsJitteredAndCapped(t *testing.T) {
	var b backoff
	for i, most := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000, 2000} {
		if d := b.next(); d < most*time.Millisecond/2 || d > most*time.Millisecond {
			t.Errorf("wait %d: %v, want %v or down to half of it", i, d, most*time.Millisecond)
		}
	}
	b.reset()
	if d := b.next(); d > 50*time.Millisecond {
		t.Errorf("after a success: %v", d)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !sleep(t.Context(), time.Hour) || time.Since(start) != time.Hour {
			t.Errorf("slept %v", time.Since(start))
		}
	})
}
