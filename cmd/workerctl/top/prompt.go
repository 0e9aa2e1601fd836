package top

import (
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// prompt is a line in which a person types. sign is what it is for: "/" a filter, ":" a command.
type prompt struct {
	sign    string
	text    string
	problem string // what is wrong with the text
}

// key changes the text. over reports whether the person has finished, with enter or without.
func (p *prompt) key(msg tea.KeyPressMsg) (over, enter bool) {
	p.problem = ""
	switch msg.String() {
	case "enter":
		return true, true
	case "esc":
		return true, false
	case "backspace", "ctrl+h":
		if p.text == "" {
			return true, false
		}
		_, n := utf8.DecodeLastRuneInString(p.text)
		p.text = p.text[:len(p.text)-n]
	case "ctrl+u":
		p.text = ""
	default:
		p.text += msg.Text
	}
	return false, false
}

// line shows the end of the text, and what is wrong with it.
func (p *prompt) line(width int) line {
	shown := p.text
	for columns(shown) > max(width/2, 20) {
		_, n := utf8.DecodeRuneInString(shown)
		shown = shown[n:]
	}
	l := line{{p.sign + shown, bold}, {" ", inverse}}
	if p.problem != "" {
		l = append(l, span{" " + p.problem, alarm})
	}
	return l
}
