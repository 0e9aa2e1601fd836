package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	t.Run("doubles from 50 ms to 2 s, less up to half, and starts again after a success",
		func(t *testing.T) {
			var b backoff
			for i, most := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000, 2000} {
				most *= time.Millisecond
				if d := b.next(); d < most/2 || d > most {
					t.Errorf("wait %d: %v, want %v to %v", i, d, most/2, most)
				}
			}
			b.reset()
			if d := b.next(); d > 50*time.Millisecond {
				t.Errorf("after a success: %v, want at most 50 ms", d)
			}
		})
}

func TestJittered(t *testing.T) {
	t.Parallel()
	t.Run("is within a tenth", func(t *testing.T) {
		for range 1000 {
			if d := jittered(time.Second); d < 900*time.Millisecond || d > 1100*time.Millisecond {
				t.Fatalf("%v, want 900 to 1100 ms", d)
			}
		}
	})
}

func TestSleep(t *testing.T) {
	t.Parallel()
	t.Run("lasts for its time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			if !sleep(t.Context(), time.Hour) || time.Since(began) != time.Hour {
				t.Errorf("slept %v", time.Since(began))
			}
		})
	})
	t.Run("ends with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			if sleep(ctx, time.Hour) || time.Since(began) != time.Minute {
				t.Errorf("slept %v", time.Since(began))
			}
		})
	})
}
