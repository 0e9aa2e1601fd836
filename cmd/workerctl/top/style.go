package top

import "strings"

// style says how a text looks. Nothing is told by a style alone.
type style int

// The styles.
const (
	plain style = iota
	bold
	faint
	inverse // the row of the cursor
	good
	warning
	alarm
)

// sequences are the codes of the styles: with colours, and without.
var sequences = map[bool]map[style]string{
	true:  {bold: "1", faint: "2", inverse: "7", good: "32", warning: "33", alarm: "1;31"},
	false: {bold: "1", faint: "2", inverse: "7", warning: "1", alarm: "1"},
}

// span is a part of a line that has one style.
type span struct {
	text  string
	style style
}

// line is a line of the terminal.
type line []span

// say is a line of one style.
func say(s style, text string) line { return line{{text, s}} }

// plain is the line without its styles.
func (l line) plain() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}

// draw writes the line for a terminal of a width, and cuts what does not fit.
func (l line) draw(width int, colour bool) string {
	var b strings.Builder
	for _, s := range l {
		text := fit(s.text, width)
		if text == "" {
			continue
		}
		width -= columns(text)
		if code := sequences[colour][s.style]; code != "" {
			text = "\x1b[" + code + "m" + text + "\x1b[m"
		}
		b.WriteString(text)
	}
	return b.String()
}
