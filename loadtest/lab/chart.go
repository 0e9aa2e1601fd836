package lab

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Point is a point of a line, in the units of the axes.
type Point struct{ X, Y float64 }

// Line is drawn over time. Its place in a panel decides its color and its pattern of dashes,
// so that lines can be told apart without colors.
type Line struct {
	Name   string  // written at the end of the line
	Points []Point // in the order of X
	Shaded bool    // the area under the line is filled
}

// Panel is one part of a chart.
type Panel struct {
	Title, Subtitle string
	Lines           []Line
}

// Chart is panels below each other with the same axes. Both axes begin at 0.
type Chart struct {
	Title, XTitle string
	Mark          float64 // a vertical line at this X
	MarkName      string
	Width, Height float64 // largest X and Y
	Panels        []Panel
}

// Sizes in pixels of the picture's own coordinates. The picture is legible when a browser
// shrinks it to 360 pixels, which is 0.8 of its width.
const (
	chartWidth  = 440.0
	chartShown  = 520.0 // the width of the picture on a page with room for it
	plotLeft    = 38.0
	plotWidth   = 318.0
	plotHeight  = 96.0
	headHeight  = 26.0
	titleHeight = 38.0 // of a panel: title and subtitle
	gap         = 16.0 // below a panel
	footHeight  = 32.0 // numbers and title of the x axis
	labelHeight = 15.0
)

// SVG is the chart as a picture, which follows the reader's choice of light or dark.
func (c Chart) SVG() string {
	height := headHeight + float64(len(c.Panels))*(titleHeight+plotHeight+gap) + footHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" `+
		`height="%.0f" role="img" aria-label="%s">`+"\n<style>\n%s</style>\n", chartWidth,
		height, chartShown, height*chartShown/chartWidth, html.EscapeString(c.alt()), chartStyle)
	fmt.Fprintf(&b, `<rect class="page" width="%.0f" height="%.0f"/>`+"\n", chartWidth, height)
	text(&b, 4, 17, "head", c.Title)
	for i, p := range c.Panels {
		top := headHeight + float64(i)*(titleHeight+plotHeight+gap)
		c.panel(&b, p, top, i == 0)
	}
	c.foot(&b, height-footHeight-gap)
	b.WriteString("</svg>\n")
	return b.String()
}

// chartStyle is inside of the picture, because a page cannot style a picture that it shows.
//
//go:embed chart.css
var chartStyle string

// alt is the chart in words, for readers that do not see it.
func (c Chart) alt() string {
	words := c.Title
	for _, p := range c.Panels {
		words += ". " + p.Title
	}
	return words
}

func text(b *strings.Builder, x, y float64, class, words string) {
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" class="%s">%s</text>`+"\n", x, y, class,
		html.EscapeString(words))
}

// panel draws a panel whose title begins at top.
func (c Chart) panel(b *strings.Builder, p Panel, top float64, first bool) {
	text(b, 4, top+14, "title", p.Title)
	text(b, 4, top+28, "soft", p.Subtitle)
	base := top + titleHeight + plotHeight
	for _, v := range ticks(c.Height, 4) {
		y := base - v/c.Height*plotHeight
		fmt.Fprintf(b, `<path class="grid" d="M%.0f %.1fh%.0f"/>`+"\n", plotLeft, y, plotWidth)
		text(b, plotLeft-5, y+4, "soft end", fmt.Sprintf("%.0f", v))
	}
	mark := c.x(c.Mark)
	fmt.Fprintf(b, `<path class="mark" d="M%.1f %.0fv%.0f"/>`+"\n", mark, base-plotHeight,
		plotHeight)
	if first {
		text(b, mark+4, base-plotHeight+11, "soft", c.MarkName)
	}
	for i, l := range p.Lines {
		points := c.path(l.Points, base)
		if l.Shaded {
			fmt.Fprintf(b, `<path class="area a%d" d="M%.1f %.1fL%sV%.1fZ"/>`+"\n", i, plotLeft,
				base, points, base)
		}
		fmt.Fprintf(b, `<path class="line k%d" d="M%s"/>`+"\n", i, points)
	}
	c.labels(b, p.Lines, base)
}

// labels writes the names of the lines where they end, with a piece of each line. The line
// that rises highest is the first, for most lines end at 0, one on the other.
func (c Chart) labels(b *strings.Builder, lines []Line, base float64) {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return int(lines[j].highest() - lines[i].highest())
	})
	y := base - float64(len(lines)-1)*labelHeight
	for _, i := range order {
		x := c.x(lines[i].End()) + 5
		fmt.Fprintf(b, `<path class="line k%d" d="M%.1f %.1fh24"/>`+"\n", i, x, y)
		text(b, x+28, y+4, "name", lines[i].Name)
		y += labelHeight
	}
}

func (l Line) highest() (top float64) {
	for _, p := range l.Points {
		top = max(top, p.Y)
	}
	return top
}

// End is the X of the last point; 0 without points.
func (l Line) End() float64 {
	if len(l.Points) == 0 {
		return 0
	}
	return l.Points[len(l.Points)-1].X
}

// foot writes the numbers of the x axis, below the last panel.
func (c Chart) foot(b *strings.Builder, base float64) {
	for _, v := range ticks(c.Width, 6) {
		text(b, c.x(v), base+15, "soft mid", fmt.Sprintf("%.0f", v))
	}
	text(b, plotLeft+plotWidth/2, base+31, "soft mid", c.XTitle)
}

func (c Chart) x(v float64) float64 { return plotLeft + v/c.Width*plotWidth }

// path is the points of a line, the highest of each pixel, and of points on one level only
// the outer ones.
func (c Chart) path(points []Point, base float64) string {
	var kept []Point
	for _, p := range points {
		at := Point{math.Floor(c.x(p.X)), math.Round(base - p.Y/c.Height*plotHeight)}
		n := len(kept)
		switch {
		case n > 0 && kept[n-1].X == at.X:
			kept[n-1].Y = min(kept[n-1].Y, at.Y)
		case n > 1 && kept[n-1].Y == at.Y && kept[n-2].Y == at.Y:
			kept[n-1].X = at.X
		default:
			kept = append(kept, at)
		}
	}
	var b strings.Builder
	for _, p := range kept {
		fmt.Fprintf(&b, "%.0f %.0f ", p.X, p.Y)
	}
	return strings.TrimSpace(b.String())
}

// ticks are round numbers from 0 to the top, at most so many beside 0.
func ticks(top float64, most int) (list []float64) {
	if top <= 0 {
		return []float64{0}
	}
	step := math.Pow(10, math.Floor(math.Log10(top))-1)
	for i := 0; top/step > float64(most); i++ {
		step *= []float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10
	}
	for v := 0.0; v <= top; v += step {
		list = append(list, v)
	}
	return list
}
