package top

import (
	"strings"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/mattn/go-runewidth"
)

// columns is how many columns of a terminal a text takes when fit has made it printable.
func columns(s string) int { return runewidth.StringWidth(text.Printable(s)) }

// fit cuts a text to a width. What is cut ends with a mark.
func fit(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return runewidth.Truncate(text.Printable(s), width, "…")
}

// pad fills a text with spaces up to a width, on its left if right is true.
func pad(s string, width int, right bool) string {
	space := strings.Repeat(" ", max(width-columns(s), 0))
	if right {
		return space + s
	}
	return s + space
}

// fold breaks a text into lines of a width, at spaces where there are some.
func fold(s string, width int) (lines []string) {
	width = max(width, 2) // a Japanese character takes two columns
	rest := text.Printable(s)
	for columns(rest) > width {
		head := runewidth.Truncate(rest, width, "")
		if at := strings.LastIndexByte(rest[:len(head)+1], ' '); at > len(head)/2 {
			head = rest[:at]
		}
		lines, rest = append(lines, head), strings.TrimPrefix(rest[len(head):], " ")
	}
	return append(lines, rest)
}

// spread puts a text at the left and one at the right of a line. The left one is cut first.
func spread(left, right line, width int) line {
	room := width - columns(right.plain()) - 1
	var l line
	for _, s := range left {
		s.text = fit(s.text, room)
		room -= columns(s.text)
		l = append(l, s)
	}
	l = append(l, span{strings.Repeat(" ", max(room, 0)+1), plain})
	return append(l, right...)
}
