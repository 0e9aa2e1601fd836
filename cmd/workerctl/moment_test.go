package main

import (
	"math"
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 0.0125: "13ms", 7.34: "7.3s",
		61: "1m01s", 3700: "1h01m", 200_000: "2d07h", 2e9: ""} {
		if got := age(seconds); got != want {
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
		if got := fromNow(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestMoment(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("JST", 9*3600)
	defer func() { time.Local = zone }()
	t.Run("is local, with its zone and its distance", func(t *testing.T) {
		got := moment(time.Now().Add(-3 * time.Hour))
		want := "3h ago, " + time.Now().Add(-3*time.Hour).Local().Format("2006-01-02 15:04:05") +
			" JST"
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("is empty for no time", func(t *testing.T) {
		if got := moment(time.Time{}); got != "" {
			t.Errorf("%q", got)
		}
	})
}
