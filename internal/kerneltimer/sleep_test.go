package kerneltimer_test

import (
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/kerneltimer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSleep(t *testing.T) {
	t.Run("does not end early", func(t *testing.T) {
		for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 300 * time.Microsecond,
			5 * time.Millisecond} {
			start := time.Now()
			if err := kerneltimer.Sleep(d); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < d {
				t.Errorf("slept for %v, want at least %v", took, d)
			}
		}
	})
}

// BenchmarkSleepers measures 15 goroutines that only sleep 10 ms, again and again, at
// different times. A worker with such jobs cannot reach more.
func BenchmarkSleepers(b *testing.B) {
	const sleepers, d = 15, 10 * time.Millisecond
	for name, sleep := range map[string]func(time.Duration) error{
		"go":     func(d time.Duration) error { time.Sleep(d); return nil },
		"kernel": kerneltimer.Sleep,
	} {
		b.Run(name, func(b *testing.B) {
			var all sync.WaitGroup
			for i := range sleepers {
				all.Go(func() {
					if err := sleep(time.Duration(i) * d / sleepers); err != nil {
						b.Error(err)
					}
					for range b.N {
						if err := sleep(d); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)*d.Seconds()/b.Elapsed().Seconds(), "efficiency")
		})
	}
}
