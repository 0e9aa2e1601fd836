package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// A chart is chartRows high, and takes chartColumns if the output is no terminal. A terminal that
// is narrower than leastChart gets a chart that does not fit.
const (
	chartRows    = 4
	chartColumns = 80
	leastChart   = 40
)

// blocks fill a place from the bottom, by eighths.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// chart draws series over the same time, one below the other.
type chart struct {
	out     io.Writer
	columns int // of the terminal
	from    time.Time
	to      time.Time
	series  []series
}

// series are the values of a chart, one for each of its columns. NaN: there is none.
type series struct {
	title  string
	values []float64
	label  func(float64) string // writes a value at the axis
	last   string               // the newest value, in words
}

// labelWidth is the width of the labels at the axis, with the line beside them.
const labelWidth = 10

func (c *chart) width() int {
	columns := c.columns
	if columns == 0 {
		columns = chartColumns
	}
	return max(columns, leastChart) - labelWidth - 1
}

// draw writes all series, and below them the times.
func (c *chart) draw() error {
	var b strings.Builder
	missing := false
	for _, s := range c.series {
		s.values = c.widened(s.values)
		missing = s.draw(&b) || missing
	}
	c.axis(&b)
	if missing {
		b.WriteString(strings.Repeat(" ", labelWidth+1) + "·  no worker wrote\n")
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

// widened repeats values that are fewer than the columns, as often as there is room.
func (c *chart) widened(values []float64) (wide []float64) {
	for _, v := range values {
		wide = append(wide, slices.Repeat([]float64{v}, max(1, c.width()/len(values)))...)
	}
	return wide
}

// draw writes a series, and reports whether values are missing.
func (s *series) draw(b *strings.Builder) (missing bool) {
	top := 0.0
	for _, v := range s.values {
		if !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	fmt.Fprintf(b, "%s: %s, at most %s\n", s.title, s.last, s.label(top))
	for row := chartRows - 1; row >= 0; row-- {
		label := ""
		switch row {
		case chartRows - 1:
			label = s.label(top)
		case 0:
			label = "0"
		}
		b.WriteString(runewidth.FillLeft(label, labelWidth-1) + " │")
		var line strings.Builder
		for _, v := range s.values {
			line.WriteRune(place(v, top, row))
			missing = missing || math.IsNaN(v)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return missing
}

// place is what a value fills of a row; row 0 is the lowest. The least value that is not 0 is seen.
func place(v, top float64, row int) rune {
	switch {
	case math.IsNaN(v) && row == 0:
		return '·'
	case math.IsNaN(v) || v <= 0 || top <= 0:
		return ' '
	}
	eighths := max(1, int(math.Round(v/top*chartRows*8)))
	return blocks[max(0, min(8, eighths-8*row))]
}

// axis writes the times below the columns: the first, the middle and the last, in local time.
func (c *chart) axis(b *strings.Builder) {
	width := len(c.widened(c.series[0].values))
	layout := "15:04"
	switch d := c.to.Sub(c.from); {
	case d > 14*24*time.Hour:
		layout = "2006-01-02"
	case d > 24*time.Hour:
		layout = "Jan 2 15:04"
	case d <= 10*time.Minute:
		layout = "15:04:05"
	}
	first, last := c.from.Local().Format(layout), c.to.Local().Format(layout+" MST")
	middle := c.from.Add(c.to.Sub(c.from) / 2).Local().Format(layout)
	b.WriteString(strings.Repeat(" ", labelWidth) + "└" + strings.Repeat("─", width) + "\n")
	line := strings.Repeat(" ", labelWidth+1) + first
	line = put(line, labelWidth+1+width/2-len(middle)/2, middle)
	line = put(line, labelWidth+1+width-len(last), last)
	b.WriteString(line + "\n")
}

// put adds a text to a line at a column. It leaves the text out if it would touch the one before.
func put(line string, at int, text string) string {
	if room := at - len(line); room >= 2 {
		return line + strings.Repeat(" ", room) + text
	}
	return line
}
