package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/kyujobs/kyu/internal/text"
)

// The lines above the content: the program with the state of Redis, the views, the title, and the
// titles of the columns. Below it are a line for messages and one for keys.
const (
	linesAbove = 3
	linesBelow = 2
)

// silentRedis is how long a look may take before the first line says that Redis does not answer.
const silentRedis = 2 * time.Second

// View draws the frame.
func (m *model) View() tea.View {
	v := tea.NewView(m.frame())
	v.AltScreen = true
	return v
}

// screen is the place of the content.
func (m *model) screen() screen {
	return screen{m.width - 1, max(m.height-linesAbove-linesBelow, 1), m.now, m.wide}
}

// rows is how many rows of a list are shown, below the titles of its columns.
func (m *model) rows() int {
	rows := m.screen().height
	if _, text := m.page().view.(jobView); text || m.page().view == view(helpView{}) {
		return rows
	}
	return max(rows-1, 1)
}

func (m *model) content() content {
	p := m.page()
	return p.view.show(&m.known, p, m.screen())
}

// isText reports whether it is no list.
func (c content) isText() bool { return c.grid == nil }

// frame is as many lines as the terminal has, none wider than it.
func (m *model) frame() string {
	c, s := m.content(), m.screen()
	lines := []line{m.head(), m.tabs(), m.title(c)}
	body := m.body(c, s)
	for len(body) < s.height {
		body = append(body, line{})
	}
	lines = append(append(lines, body[:s.height]...), m.messages(), m.hints(c))
	if len(lines) > m.height {
		lines = append(lines[:max(m.height-1, 0)], m.messages())
	}
	text := make([]string, len(lines))
	for i, l := range lines {
		text[i] = l.draw(m.width, m.options.Colour)
	}
	return strings.Join(text, "\n")
}

// head has the state of Redis, and the time.
func (m *model) head() line {
	left := line{{"workerctl top", bold}}
	if m.options.ReadOnly {
		left = append(left, span{" (read-only)", faint})
	}
	if state, wrong := m.redisState(); state != "" {
		style := warning
		if wrong {
			style = alarm
		}
		left = append(left, span{"  " + state, style})
	}
	clock := m.now.Local().Format("15:04:05 MST")
	return spread(left, line{{clock, faint}}, m.width)
}

// redisState says what is wrong with Redis, or nothing.
func (m *model) redisState() (state string, wrong bool) {
	silent := m.failed != nil || m.looking && m.now.Sub(m.asked) >= silentRedis
	since := m.answered.Local().Format(time.TimeOnly) + " (" +
		text.Age(m.now.Sub(m.answered).Truncate(time.Second).Seconds()) + ")"
	switch {
	case silent:
		return "Redis does not answer since " + since, true
	case m.sampler == nil:
		return "connecting to Redis", false
	}
	return "", false
}

// tabs are the views with their digits.
func (m *model) tabs() (l line) {
	at := m.viewIndex()
	for i, v := range views {
		tab, style := fmt.Sprintf("%d %s", i+1, v.name()), faint
		if i == at {
			tab, style = "["+tab+"]", bold
		}
		if i > 0 {
			tab = " " + tab
		}
		l = append(l, span{tab, style})
	}
	return l
}

// title says what is shown, and which part of it.
func (m *model) title(c content) line {
	p := m.page()
	left := line{{c.title, bold}}
	if p.where != "" {
		left = append(left, span{"  filter: " + p.where, warning})
	}
	if orders := p.view.orders(); len(orders) > 0 {
		left = append(left, span{"  by " + orders[p.sort%len(orders)], faint})
	}
	if n := len(p.marks); n > 0 {
		left = append(left, span{"  " + text.Grouped(int64(n)) + " marked", warning})
	}
	part := ""
	if first, rows := p.top+1, m.rows(); c.total > 0 {
		part = fmt.Sprintf("%s to %s of %s", text.Grouped(int64(first)),
			text.Grouped(int64(min(p.top+rows, c.total))), text.Grouped(int64(c.total)))
	}
	return spread(left, line{{part, faint}}, m.width)
}

// body are the lines of the content.
func (m *model) body(c content, s screen) []line {
	if c.isText() {
		if len(c.lines) == 0 {
			return []line{say(faint, c.empty)}
		}
		return c.lines[max(min(m.page().top, len(c.lines)-s.height), 0):]
	}
	return m.list(c, s)
}

// list are the titles of the columns and the rows that are shown. Each row begins with a sign for
// the cursor or a mark.
func (m *model) list(c content, s screen) []line {
	p := m.page()
	first := p.top - c.offset
	shown := *c.grid
	shown.rows = nil
	for i := first; i < first+m.rows() && i < len(c.grid.rows); i++ {
		if i >= 0 {
			shown.rows = append(shown.rows, c.grid.rows[i])
		}
	}
	widths := shown.layout(s.width-2, s.wide)
	lines := []line{say(bold, "  "+shown.text(shown.titles(), widths))}
	for i, r := range shown.rows {
		lines = append(lines, m.rowLine(r, c.offset+max(first, 0)+i == p.cursor,
			shown.text(r.cells, widths)))
	}
	if len(shown.rows) == 0 {
		empty := c.empty
		if c.total > 0 {
			empty = "reading…"
		} else if p.where != "" && len(m.known.read) > 0 && empty != "reading…" {
			empty = "the filter chooses none"
		}
		lines = append(lines, say(faint, "  "+empty))
	}
	return lines
}

// rowLine is a row with its sign.
func (m *model) rowLine(r row, cursor bool, text string) line {
	sign := " "
	if cursor {
		sign = ">"
	}
	if _, marked := m.page().marks[r.key]; marked {
		sign += "*"
	} else {
		sign += " "
	}
	if cursor {
		return say(inverse, sign+pad(text, m.width-2, false))
	}
	return line{{sign, bold}, {strings.TrimRight(text, " "), r.style}}
}

// messages is the line of what a person types or is asked, of the last result, of what is under
// way, or of why Redis does not answer.
func (m *model) messages() line {
	switch {
	case m.question != nil:
		return m.questionLine()
	case m.prompt != nil:
		return m.prompt.line(m.width)
	case m.message != "" && m.wrong:
		return say(alarm, "! "+m.message)
	case m.message != "":
		return say(good, m.message)
	case m.acting != nil:
		return say(warning, m.acting.String()+": under way…")
	case m.failed != nil:
		return say(alarm, "! "+oneLine(m.failed.Error()))
	}
	return line{}
}

// hints are the keys of the view.
func (m *model) hints(c content) line {
	return spread(say(faint, strings.Join(c.keys, "  ")), say(faint, "? keys  q quit"), m.width)
}
