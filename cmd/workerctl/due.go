package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

// due are the flags that say when a job is due.
type due struct{ delay, at string }

func (d *due) flags(f *pflag.FlagSet, command string) {
	f.StringVar(&d.delay, "in", "", command+"due in a `DURATION`, such as 90s or 2h")
	f.StringVar(&d.at, "at", "", command+"due at a `TIME`, RFC 3339 or seconds since 1970")
}

// The numbers that --at takes. Smaller ones are a time before September 2001, and probably a delay;
// larger ones are milliseconds.
const (
	firstAt = 1e9
	lastAt  = 1e11
)

// time is the time that the flags give, or the zero time if neither is given.
func (d *due) time(now time.Time) (time.Time, error) {
	switch {
	case d.delay != "" && d.at != "":
		return time.Time{}, errors.New("--in and --at exclude each other")
	case d.delay != "":
		delay, err := time.ParseDuration(d.delay)
		if err != nil {
			return time.Time{}, fmt.Errorf("--in %q: want a duration such as 90s or 2h", d.delay)
		}
		if delay < 0 {
			return time.Time{}, fmt.Errorf("--in %q: it is negative", d.delay)
		}
		return now.Add(delay), nil
	case d.at != "":
		if t, err := time.Parse(time.RFC3339, d.at); err == nil {
			return t, nil
		}
		seconds, err := strconv.ParseFloat(d.at, 64)
		if err != nil || !(seconds >= firstAt && seconds < lastAt) { // NaN is refused too
			return time.Time{}, fmt.Errorf("--at %q: want a time such as 2026-11-22T11:08:00Z, "+
				"or seconds since 1970, from %.0f to %.0f; --in takes a delay", d.at, firstAt,
				lastAt)
		}
		return queue.At(seconds, now), nil
	}
	return time.Time{}, nil
}
