package main

import (
	"strings"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 11, 8, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		due  due
		want time.Time
	}{
		"is the zero time without flags": {due{}, time.Time{}},
		"is later by --in":               {due{delay: "90s"}, now.Add(90 * time.Second)},
		"is a date": {due{at: "2033-05-18T03:33:20Z"},
			time.Date(2033, 5, 18, 3, 33, 20, 0, time.UTC)},
		"is a number of seconds since 1970": {due{at: "2000000000.5"},
			time.Date(2033, 5, 18, 3, 33, 20, 500_000_000, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := x.due.time(now); err != nil || !got.Equal(x.want) {
				t.Errorf("%v %v, want %v", got, err, x.want)
			}
		})
	}
	for _, at := range []string{"nan", "inf", "-inf", "1e300", "9999999999999999999",
		"1763000000000", "5", "-1", "0x7f000000000", "tomorrow", "2026-13-01T00:00:00Z"} {
		t.Run("refuses --at "+at, func(t *testing.T) {
			if got, err := (&due{at: at}).time(now); err == nil ||
				!strings.Contains(err.Error(), "want a time") {
				t.Errorf("%v %v", got, err)
			}
		})
	}
	for _, delay := range []string{"-5s", "soon", "1e300h", "5"} {
		t.Run("refuses --in "+delay, func(t *testing.T) {
			if got, err := (&due{delay: delay}).time(now); err == nil {
				t.Errorf("%v", got)
			}
		})
	}
}
