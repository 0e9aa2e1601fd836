package main

import (
	"time"

	"github.com/kyujobs/kyu/internal/text"
)

// timeLayout is the form of times in tables: local, with the zone.
const timeLayout = "2006-01-02 15:04:05 MST"

// moment is a time in a table, or "" for none. How far it is from now comes first, because the end
// of a cell is cut in a narrow terminal.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return text.FromNow(time.Until(t)) + ", " + t.Local().Format(timeLayout)
}

// age is a number of seconds in the units that people use.
func age(seconds float64) string { return text.Age(seconds) }
