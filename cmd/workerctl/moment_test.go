package main

import (
	"testing"
	"time"
)

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
