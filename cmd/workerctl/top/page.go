package top

import (
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// view is what a page shows. Views hold nothing that changes.
type view interface {
	// name is how the command line calls the view.
	name() string
	// need is what the view shows of the rows from first on.
	need(p *page, first, rows int) need
	// show makes the content of what is known.
	show(k *known, p *page, s screen) content
	// orders are the names of the orders in which the rows can be.
	orders() []string
	// open is the view of a row, or nil.
	open(k *known, r row) view
	// act is the request of a key for rows. ok is false if the view does not know the key.
	act(k *known, p *page, key string, rows []row) (r Request, ok bool)
}

// screen is where a view is shown.
type screen struct {
	width, height int // of the content
	now           time.Time
	wide          bool
}

// content is what a view shows: a grid, or lines of text.
type content struct {
	title  string
	grid   *grid
	total  int // rows of the whole list
	offset int // the place of the first row of the grid in the whole list
	lines  []line
	empty  string   // what is said of a list without rows
	keys   []string // what can be done, for the last line
}

// page is a view with its place and filter.
type page struct {
	view   view
	cursor int // the row, from 0 in the whole list
	top    int // the first row that is shown
	total  int // rows of the whole list, when it was last shown
	marks  map[string]any
	where  string // the filter
	filter inspect.Filter
	sort   int // which of the view's orders
}

func newPage(v view) *page { return &page{view: v, marks: map[string]any{}} }

// move moves the cursor, and the part that is shown with it. Lists that are read in pages are
// shown in pages.
func (p *page) move(by, rows int) {
	p.cursor = max(min(p.cursor+by, p.total-1), 0)
	p.follow(rows)
}

// follow keeps the cursor on the screen.
func (p *page) follow(rows int) {
	rows = max(rows, 1)
	if _, pages := p.view.(setView); pages {
		p.top = p.cursor / rows * rows
		return
	}
	p.top = max(min(p.top, p.cursor), p.cursor-rows+1)
	p.top = max(min(p.top, p.total-rows), 0)
}

// scroll moves a text.
func (p *page) scroll(by, rows int) { p.top = max(min(p.top+by, p.total-rows), 0) }

// mark marks a row, or takes the mark away.
func (p *page) mark(key string, what any) {
	if _, marked := p.marks[key]; marked {
		delete(p.marks, key)
	} else {
		p.marks[key] = what
	}
}

// setFilter chooses rows.
func (p *page) setFilter(text string) error {
	filter, err := inspect.ParseFilter(text)
	if err != nil {
		return err
	}
	p.filter, p.where = filter, filter.String()
	p.cursor, p.top = 0, 0
	clear(p.marks)
	return nil
}

// keep drops the rows that the filter does not choose. It looks for free text in their cells.
func (p *page) keep(rows []row, now time.Time) (kept []row) {
	for _, r := range rows {
		all := ""
		for _, cell := range r.cells {
			all += cell + "\n"
		}
		if p.filter.Match(all, nil, now) {
			kept = append(kept, r)
		}
	}
	return kept
}
