package kerneltimer_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/kerneltimer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNobodyWakesEarly(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 300 * time.Microsecond, 5 * time.Millisecond} {
		start := time.Now()
		if err := kerneltimer.Sleep(d); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < d {
			t.Errorf("slept %v of %v", took, d)
		}
	}
}
