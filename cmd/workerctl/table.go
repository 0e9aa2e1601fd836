package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/mattn/go-runewidth"
)

// A table keeps this many columns of the terminal between two of its own, and does not make one of
// them narrower than leastColumn.
const (
	columnGap   = 2
	leastColumn = 6
)

// table writes columns for people. Its widths are those that a terminal shows: a Chinese or
// Japanese character takes two columns, a combining one none.
type table struct {
	out   io.Writer
	limit int // columns of the terminal; 0 if nothing is cut
	rows  [][]string
	rec   *recorder // keeps the table, or nil
}

func (c *call) table() *table {
	if c.form == wide {
		return c.uncut()
	}
	return &table{out: c.out, limit: c.columns, rec: c.rec}
}

// uncut is a table that people must see whole: all fields of one job, or commands to copy.
func (c *call) uncut() *table { return &table{out: c.out, rec: c.rec} }

func (t *table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		text[i] = printable(fmt.Sprint(cell))
	}
	t.rows = append(t.rows, text)
}

// rowOf adds a row whose first cell is the name of a shard, which is left out if only one is asked.
func (c *call) rowOf(t *table, shard string, cells ...any) {
	if c.several() && c.rec == nil {
		cells = append([]any{shard}, cells...)
	}
	t.row(cells...)
}

// Flush writes the table.
func (t *table) Flush() error {
	if t.rec != nil {
		t.rec.add(part{table: t})
		return nil
	}
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			cell = runewidth.Truncate(cell, widths[i], "…")
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ",
				max(widths[i]-runewidth.StringWidth(cell), 0)+columnGap))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// widths are those of the columns: as wide as their widest cells, or less if the terminal is too
// narrow.
func (t *table) widths() (widths []int) {
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	if t.limit > 0 {
		t.narrow(widths, texts.MatchString)
		t.narrow(widths, func(title string) bool { return !names.MatchString(title) })
	}
	return widths
}

// When a terminal is too narrow, long texts give way first. Names stay whole: people copy them.
var (
	texts = regexp.MustCompile(`^(ARGS|ERROR|CURSOR|LABEL|QUEUES)$`)
	names = regexp.MustCompile(`^(JID|IDENTITY|PROCESS|QUEUE|DIGEST|ENTRY|HELD BY|UNIT)$`)
)

// narrow makes the columns whose titles give way narrower, always the widest of them, until the
// table fits the terminal.
func (t *table) narrow(widths []int, givesWay func(title string) bool) {
	over := columnGap*(len(widths)-1) - t.limit
	for _, width := range widths {
		over += width
	}
	for ; over > 0; over-- {
		widest := -1
		for i, width := range widths {
			if width > leastColumn && givesWay(t.rows[0][i]) &&
				(widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// printable is a text that cannot break rows or steer the terminal.
func printable(s string) string { return text.Printable(s) }
