// Package text makes texts for people at a terminal: texts of jobs that cannot steer it, and
// ages and numbers as people read them.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Printable replaces line breaks, control characters, and the characters that turn the direction of
// a text: texts of jobs must not break rows or steer the terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return '·'
		}
		return r
	}, s)
}

// Age is a number of seconds in the units that people use. It is empty over 1e9 seconds
// (31 years), which is the age of a job that does not say when it was pushed.
func Age(seconds float64) string {
	if seconds > 1e9 {
		return ""
	}
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// FromNow is a distance in time as people say it: in 3m, 2h ago. It is rounded down to one unit. A
// Duration holds 292 years at most.
func FromNow(d time.Duration) string {
	text := roughly(d.Abs())
	switch {
	case text == "292y" && d > 0:
		return "far in the future"
	case text == "292y":
		return "long ago"
	case text == "0s":
		return "now"
	case d > 0:
		return "in " + text
	}
	return text + " ago"
}

// roughly is a duration in its largest unit, from seconds to years.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// Grouped is a number from 0 with a comma before every three digits.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	var groups []string
	for ; len(text) > 3; text = text[:len(text)-3] {
		groups = append([]string{text[len(text)-3:]}, groups...)
	}
	return strings.Join(append([]string{text}, groups...), ",")
}
