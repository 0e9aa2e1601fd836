package main

import (
	"fmt"
	"time"
)

// timeLayout is the form of times in tables: local, with the zone.
const timeLayout = "2006-01-02 15:04:05 MST"

// moment is a time in a table, or "" for none. How far it is from now comes first, because the end
// of a cell is cut in a narrow terminal.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fromNow(time.Until(t)) + ", " + t.Local().Format(timeLayout)
}

// fromNow is a distance in time as people say it: in 3m, 2h ago. It is rounded down to one unit. A
// Duration holds 292 years at most.
func fromNow(d time.Duration) string {
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

// age is a number of seconds in the units that people use. It is empty over 1e9 seconds
// (31 years), which is the age of a job that does not say when it was pushed.
func age(seconds float64) string {
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
