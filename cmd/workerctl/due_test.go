package main

import (
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
}
