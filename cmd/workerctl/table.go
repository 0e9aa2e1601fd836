package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// timeLayout is the form of times in tables, in UTC.
const timeLayout = "2006-01-02 15:04:05"

// table writes columns for people.
type table struct{ *tabwriter.Writer }

func (c *call) table() table { return table{tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		text[i] = printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t, strings.TrimRight(strings.Join(text, "\t"), "\t "))
}

// printable replaces line breaks, control characters, and the characters that turn the direction of
// a text: texts of jobs must not break rows or steer the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return '·'
		}
		return r
	}, s)
}

// short cuts a text to n characters, the last of them an ellipsis.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
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
