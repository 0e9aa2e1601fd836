package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// span is the value of a flag: a time before now, in days too.
type span time.Duration

// String is the time as people write it: 7d, 1h, 90m.
func (s *span) String() string {
	d := time.Duration(*s)
	switch {
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d%time.Hour == 0 && d > 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0 && d > 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}

// Type is the name of the flag's value in the help.
func (s *span) Type() string { return "duration" }

// Set refuses a time of which there is no history.
func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, days := strings.CutSuffix(text, "d"); days {
		n, wrong := strconv.ParseFloat(number, 64)
		d, err = time.Duration(n*24*float64(time.Hour)), wrong
		if n > 1000 { // more than a Duration may hold
			d = 0
		}
	}
	if err != nil || d < time.Minute || d > inspect.MaxHistory {
		return errors.New("want a time from 1m to 400d, such as 90m, 6h or 7d")
	}
	*s = span(d)
	return nil
}
