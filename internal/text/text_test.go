package text

import (
	"math"
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 0.0125: "13ms", 7.34: "7.3s",
		61: "1m01s", 3700: "1h01m", 200_000: "2d07h", 2e9: ""} {
		if got := Age(seconds); got != want {
			t.Errorf("%v seconds: %q, want %q", seconds, got, want)
		}
	}
}

func TestFromNow(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "now", 900 * time.Millisecond: "now",
		-59 * time.Second: "59s ago", 3*time.Minute + time.Second: "in 3m",
		-2 * time.Hour: "2h ago", 47 * time.Hour: "in 47h", -72 * time.Hour: "3d ago",
		math.MaxInt64: "far in the future", math.MinInt64: "long ago",
		3 * 366 * 24 * time.Hour: "in 3y"} {
		if got := FromNow(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 100000: "100,000",
		1234567: "1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := Printable("\x1b[2J\tä\r\n\x7f\u0085\u2028\u202e!"); got != "·[2J·ä······!" {
		t.Errorf("%q", got)
	}
}
