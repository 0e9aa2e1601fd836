package top

import "slices"

// gap is the number of columns of the terminal between two of a grid.
const gap = 2

// A text is readable, and a word is known, in columns of these widths.
const (
	readable = 20
	knowable = 14
)

// column is a column of a grid.
type column struct {
	title string
	right bool // numbers
	text  bool // it gives way first
	name  bool // people copy it, so it gives way last
	extra bool // it is shown only if there is room, or if everything is to be shown
}

// row is a row of a grid.
type row struct {
	key   string // names what the row is about
	cells []string
	style style
}

// grid lays rows out in columns.
type grid struct {
	columns []column
	rows    []row
}

// layout gives the widths of the columns in a terminal of a width; 0 for those that are not shown:
// empty texts, and extra ones that are empty or for which there is no room if texts are to be
// readable.
func (g *grid) layout(width int, wide bool) []int {
	full := make([]int, len(g.columns))
	for i, c := range g.columns {
		for _, r := range g.rows {
			full[i] = max(full[i], columns(r.cells[i]))
		}
		if full[i] > 0 || !c.extra && !c.text {
			full[i] = max(full[i], columns(c.title))
		}
	}
	for i := len(full) - 1; i >= 0 && !wide && over(g.short(full), width) > 0; i-- {
		if g.columns[i].extra { // the last of them is dropped first
			full[i] = 0
		}
	}
	text := func(c column) bool { return c.text }
	common := func(c column) bool { return !c.text && !c.name && !c.right }
	g.narrow(full, width, readable, text)
	g.narrow(full, width, knowable, common)
	g.narrow(full, width, knowable/2, text)
	g.narrow(full, width, knowable/2, common)
	g.narrow(full, width, 1, func(c column) bool { return true })
	return full
}

// short are widths with texts that are only just readable.
func (g *grid) short(widths []int) []int {
	list := slices.Clone(widths)
	for i, c := range g.columns {
		if c.text {
			list[i] = min(list[i], readable)
		}
	}
	return list
}

// over is by how many columns of the terminal widths are too wide.
func over(widths []int, width int) int {
	sum, shown := 0, 0
	for _, w := range widths {
		if sum += w; w > 0 {
			shown++
		}
	}
	return sum + gap*max(shown-1, 0) - width
}

// narrow makes columns that give way narrower, always the widest of them, until all fit.
func (g *grid) narrow(widths []int, width, least int, givesWay func(column) bool) {
	for n := over(widths, width); n > 0; n-- {
		widest := -1
		for i, w := range widths {
			if w > least && givesWay(g.columns[i]) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// titles are the cells of the head.
func (g *grid) titles() []string {
	cells := make([]string, len(g.columns))
	for i, c := range g.columns {
		cells[i] = c.title
	}
	return cells
}

// text puts cells into columns.
func (g *grid) text(cells []string, widths []int) (s string) {
	first := true
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if !first {
			s += "  "
		}
		s += pad(fit(cells[i], w), w, g.columns[i].right)
		first = false
	}
	return s
}
