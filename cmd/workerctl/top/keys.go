package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// views are those of the second line, in the order of their digits.
var views = []view{overview{}, queuesView{}, busyView{}, setView{Retries}, setView{Scheduled},
	setView{Dead}, heldView{}, processesView{}}

// onKey takes a key.
func (m *model) onKey(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	if key == "ctrl+c" {
		return tea.Quit
	}
	if m.question != nil {
		return m.answer(key)
	}
	if m.prompt != nil {
		return m.typed(msg)
	}
	m.message = ""
	if key == "q" {
		return m.quit()
	}
	for _, take := range []func(string) (tea.Cmd, bool){m.moves, m.goes, m.chooses, m.acted} {
		if cmd, ok := take(key); ok {
			return cmd
		}
	}
	return nil
}

// moves takes the keys that move the cursor.
func (m *model) moves(key string) (tea.Cmd, bool) {
	p, rows := m.page(), m.rows()
	_, set := p.view.(setView)
	steps := map[string]int{"j": 1, "down": 1, "k": -1, "up": -1, "ctrl+d": rows / 2,
		"ctrl+u": -rows / 2, "pgdown": rows, "ctrl+f": rows, "pgup": -rows, "ctrl+b": -rows,
		"g": -p.total, "home": -p.total, "G": p.total, "end": p.total}
	if set {
		steps["n"], steps["p"] = rows, -rows
	}
	step, ok := steps[key]
	if !ok {
		return nil, false
	}
	top := p.top
	if m.content().isText() {
		p.scroll(step, rows)
		return nil, true
	}
	p.move(step, rows)
	if set && p.top != top {
		return m.refresh(), true
	}
	return nil, true
}

// goes takes the keys that go to other pages.
func (m *model) goes(key string) (tea.Cmd, bool) {
	switch key {
	case "tab", "shift+tab":
		step := 1
		if key == "shift+tab" {
			step = len(views) - 1
		}
		return m.show(views[(m.viewIndex()+step)%len(views)]), true
	case "enter", "l", "right":
		if r := m.current(); r != nil {
			return m.open(*r), true
		}
		return nil, true
	case "esc", "h", "left":
		return m.back(), true
	case "?":
		if _, help := m.page().view.(helpView); help {
			return m.back(), true
		}
		return m.push(newPage(helpView{})), true
	case "ctrl+z":
		return tea.Suspend, true
	}
	if len(key) == 1 && key[0] >= '1' && int(key[0]-'1') < len(views) {
		return m.show(views[key[0]-'1']), true
	}
	return nil, false
}

// chooses takes the keys that choose rows, and how they are shown.
func (m *model) chooses(key string) (tea.Cmd, bool) {
	p := m.page()
	switch key {
	case "/":
		p, ok := m.page(), !m.content().isText()
		if _, queue := m.set().Queue(); queue || !ok {
			m.say("there is no filter here", true)
			return nil, true
		}
		m.prompt = &prompt{sign: "/", text: p.where}
	case ":":
		m.prompt = &prompt{sign: ":"}
	case "space":
		if r := m.current(); r != nil {
			var what any
			if _, set := p.view.(setView); set {
				what = m.known.entry(r.key)
			}
			p.mark(r.key, what)
			p.move(1, m.rows())
		}
		return m.refresh(), true
	case "s":
		if orders := p.view.orders(); len(orders) > 0 {
			p.sort = (p.sort + 1) % len(orders)
			m.say("by "+orders[p.sort], false)
		}
	case "w":
		m.wide = !m.wide
	default:
		return nil, false
	}
	return nil, true
}

// acted takes the keys of acts.
func (m *model) acted(key string) (tea.Cmd, bool) {
	p := m.page()
	rows := m.chosen()
	r, ok := p.view.act(&m.known, p, key, rows)
	if !ok {
		return nil, false
	}
	capital := strings.ToLower(key) != key && r.Set != ""
	if !capital && len(r.Jobs) == 0 && len(r.Names) == 0 {
		m.say("there is nothing at the cursor", true)
		return nil, true
	}
	return m.request(r), true
}

// typed takes a key of the line in which a person types.
func (m *model) typed(msg tea.KeyPressMsg) tea.Cmd {
	over, enter := m.prompt.key(msg)
	if !over {
		return nil
	}
	if !enter {
		m.prompt = nil
		return nil
	}
	var cmd tea.Cmd
	var err error
	if m.prompt.sign == "/" {
		if err = m.page().setFilter(m.prompt.text); err == nil {
			m.settle()
			cmd = m.refresh()
		}
	} else {
		cmd, err = m.command(strings.Fields(m.prompt.text))
	}
	if err != nil {
		m.prompt.problem = oneLine(err.Error())
		return nil
	}
	m.prompt = nil
	return cmd
}

// command carries out a line such as "queue push". A name may be cut short.
func (m *model) command(words []string) (tea.Cmd, error) {
	if len(words) == 0 {
		return nil, nil
	}
	name, rest := words[0], strings.Join(words[1:], " ")
	switch {
	case rest != "" && name == "job":
		return m.push(newPage(jobView{Ref{JID: rest}})), nil
	case rest != "" && name == "queue":
		return m.push(newPage(setView{QueueSet(rest)})), nil
	case rest != "" && name == "held":
		return m.push(newPage(setView{HeldSet(rest)})), nil
	case rest == "" && slices.Contains([]string{"q", "quit", "exit"}, name):
		return m.quit(), nil
	case rest == "" && strings.HasPrefix("help", name):
		return m.push(newPage(helpView{})), nil
	}
	var all []string
	for _, v := range views {
		if rest == "" && strings.HasPrefix(v.name(), name) {
			return m.show(v), nil
		}
		all = append(all, v.name())
	}
	return nil, fmt.Errorf("there is no %q: %s, queue NAME, job JID, quit",
		strings.Join(words, " "), strings.Join(all, ", "))
}

// show begins anew with a view.
func (m *model) show(v view) tea.Cmd {
	m.pages = nil
	return m.push(newPage(v))
}

// push goes to a page.
func (m *model) push(p *page) tea.Cmd {
	m.pages = append(m.pages, p)
	m.settle()
	return m.refresh()
}

// open goes to what a row is about.
func (m *model) open(r row) tea.Cmd {
	v := m.page().view.open(&m.known, r)
	if v == nil {
		return nil
	}
	p := newPage(v)
	if _, process := m.page().view.(processesView); process {
		p.setFilter(`"` + strings.ReplaceAll(r.key, `"`, "") + `"`)
	}
	return m.push(p)
}

// back takes away marks, then the filter, then goes to the page before, at last to the overview.
func (m *model) back() tea.Cmd {
	p := m.page()
	switch {
	case len(p.marks) > 0:
		clear(p.marks)
		return nil
	case p.where != "":
		p.setFilter("")
		m.settle()
		return m.refresh()
	case len(m.pages) > 1:
		m.pages = m.pages[:len(m.pages)-1]
		m.settle()
		return m.refresh()
	case p.view != view(overview{}):
		return m.show(overview{})
	}
	return nil
}

// viewIndex is the place of the shown view in the second line, that of the one below if it has
// none.
func (m *model) viewIndex() int {
	for i := range slices.Backward(m.pages) {
		word, _, _ := strings.Cut(m.pages[i].view.name(), " ")
		for n, v := range views {
			if v.name() == word || v.name() == map[string]string{"queue": "queues"}[word] {
				return n
			}
		}
	}
	return 0
}

// set is the set that the page shows, or "".
func (m *model) set() Set {
	v, _ := m.page().view.(setView)
	return v.set
}

// current is the row at the cursor, or nil.
func (m *model) current() *row {
	c := m.content()
	if c.grid == nil {
		return nil
	}
	at := m.page().cursor - c.offset
	if at < 0 || at >= len(c.grid.rows) {
		return nil
	}
	return &c.grid.rows[at]
}

// chosen are the rows that are marked, or else the one at the cursor.
func (m *model) chosen() (rows []row) {
	for key := range m.page().marks {
		rows = append(rows, row{key: key})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	if r := m.current(); len(rows) == 0 && r != nil {
		rows = append(rows, *r)
	}
	return rows
}
