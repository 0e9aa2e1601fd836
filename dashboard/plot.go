package dashboard

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// plot is a chart over time. The server draws it as SVG, and the script of the page draws the same
// data better.
type plot struct {
	Name  string         `json:"name"` // its key in the catalogue, after "plot."
	Unit  string         `json:"unit"` // jobs, seconds or per_second
	Times []int64        `json:"times"`
	Lines []line         `json:"lines"`
	Marks []inspect.Mark `json:"marks"` // deploys in this time
}

// line is a line of a plot, with a value for each of its times.
type line struct {
	Name   string     `json:"name"`
	Label  string     `json:"label"`  // for people
	Values []*float64 `json:"values"` // nil: not known
}

// The size of a plot, in units that the browser scales.
const (
	plotWidth  = 600
	plotHeight = 120
)

// From and To are the first and the last time.
func (p *plot) From() time.Time { return time.Unix(p.Times[0], 0) }
func (p *plot) To() time.Time   { return time.Unix(p.Times[len(p.Times)-1], 0) }

// Top is the largest value.
func (p *plot) Top() (top float64) {
	for _, l := range p.Lines {
		top = max(top, l.Top())
	}
	return top
}

// Top is the largest value of the line.
func (l line) Top() (top float64) {
	for _, v := range l.Values {
		if v != nil {
			top = max(top, *v)
		}
	}
	return top
}

// Last is the newest value that is known, or nil.
func (l line) Last() *float64 {
	for i := len(l.Values) - 1; i >= 0; i-- {
		if l.Values[i] != nil {
			return l.Values[i]
		}
	}
	return nil
}

// Path draws a line of the plot. Values that are not known leave a gap; a value between two gaps is
// a point.
func (p *plot) Path(l line) string {
	var b strings.Builder
	top := p.Top()
	if top == 0 {
		top = 1
	}
	drawn := 0 // values since the gap
	for i, v := range l.Values {
		if v == nil {
			drawn = 0
			continue
		}
		x := float64(i) / math.Max(1, float64(len(l.Values)-1)) * plotWidth
		verb := "L"
		if drawn++; drawn == 1 {
			verb = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", verb, x, plotHeight*(1-*v/top))
		if drawn == 1 && (i+1 == len(l.Values) || l.Values[i+1] == nil) {
			b.WriteString("h0")
		}
	}
	return b.String()
}

// X is where a mark is.
func (p *plot) X(m inspect.Mark) string {
	share := m.At.Sub(p.From()).Seconds() / max(1, p.To().Sub(p.From()).Seconds())
	return strconv.FormatFloat(share*plotWidth, 'f', 1, 64)
}

// Data is the plot for the script, which shows its texts as they are.
func (p *plot) Data() (string, error) {
	shown := *p
	shown.Lines, shown.Marks = slices.Clone(p.Lines), slices.Clone(p.Marks)
	for i := range shown.Lines {
		shown.Lines[i].Name = shown.Lines[i].Label
	}
	for i, m := range shown.Marks {
		shown.Marks[i].Label = cut(100, m.Label)
	}
	b, err := json.Marshal(&shown)
	return string(b), err
}

// Width and Height are the size of the plot, for its template.
func (p *plot) Width() int  { return plotWidth }
func (p *plot) Height() int { return plotHeight }

// known is a value of a line.
func known(v float64) *float64 { return &v }

// measure is a value in its unit: a float64, or a pointer to one. It is empty if the value is not
// known.
func measure(lang, unit string, value any) string {
	v, plain := value.(float64)
	if pointer, _ := value.(*float64); pointer != nil {
		v = *pointer
	} else if !plain {
		return ""
	}
	switch {
	case unit == "seconds" && v > 0 && v < 1:
		return say(lang, "plot_unit.ms", int(math.Round(v*1000)))
	case unit == "seconds":
		return age(lang, v)
	case unit == "jobs":
		return number(int64(math.Round(v)))
	case v >= 1 || v == 0:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
