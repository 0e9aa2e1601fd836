package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// colors of the queues: told apart by people who see colors differently too.
var colors = map[string]color.RGBA{
	"default": {0, 114, 178, 255}, "push": {213, 94, 0, 255}, "mailers": {0, 158, 115, 255},
	"pull": {204, 121, 167, 255},
}

const (
	chartWidth  = 4.6 * vg.Inch
	chartHeight = 2.5 * vg.Inch
)

// series are lines over time, by queue.
type series struct {
	title, unit string
	burst       time.Duration
	length      time.Duration
	top         float64 // of the y axis
	of          func(look) map[string]float64
	looks       []look
}

// plot draws the lines, and marks the burst.
func (s series) plot(legend bool) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = s.title
	p.Title.TextStyle.Font.Size = 11
	p.X.Label.Text, p.Y.Label.Text = "seconds", s.unit
	p.X.Tick.Marker, p.Y.Tick.Marker = wholeTicks{}, wholeTicks{}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, s.length.Seconds(), 0, s.top
	p.Add(plotter.NewGrid())
	mark, err := plotter.NewLine(plotter.XYs{{X: s.burst.Seconds(), Y: 0},
		{X: s.burst.Seconds(), Y: s.top}})
	if err != nil {
		return nil, err
	}
	mark.Color, mark.Width, mark.Dashes = color.Gray{90}, 1, []vg.Length{4, 3}
	p.Add(mark)
	if legend {
		p.Legend.Add("burst", mark)
		p.Legend.Top = true
	}
	for _, q := range queues {
		points := make(plotter.XYs, len(s.looks))
		for i, l := range s.looks {
			points[i] = plotter.XY{X: l.at.Seconds(), Y: math.Min(s.of(l)[q], s.top)}
		}
		if len(points) == 0 {
			return nil, fmt.Errorf("%s: nothing was seen", s.title)
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colors[q], 1.6
		p.Add(line)
		if legend {
			p.Legend.Add(q, line)
		}
	}
	return p, nil
}

// wholeTicks label axes with whole numbers.
type wholeTicks struct{}

// Ticks are those of gonum, with about six labels.
func (wholeTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/2)))
	for (high-low)/step > 6 {
		step *= 2
	}
	for v := math.Ceil(low/step) * step; v <= high; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f", v)})
	}
	return ticks
}

// svg is a chart for a page, which says itself what the colors mean.
func (s series) svg() (string, error) {
	p, err := s.plot(false)
	if err != nil {
		return "", err
	}
	c := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	_, body, _ := strings.Cut(b.String(), "<svg") // without the XML declaration
	return "<svg" + body, nil
}

// png writes charts as one picture, two in a row.
func png(path string, charts []series) error {
	const columns = 2
	rows := (len(charts) + columns - 1) / columns
	img := vgimg.NewWith(vgimg.UseWH(columns*chartWidth, vg.Length(rows)*chartHeight),
		vgimg.UseDPI(110))
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 6, PadY: 6, PadTop: 4, PadBottom: 4,
		PadLeft: 4, PadRight: 8}
	canvas := draw.New(img)
	for i, s := range charts {
		p, err := s.plot(i == 0)
		if err != nil {
			return err
		}
		p.Draw(tiles.At(canvas, i%columns, i/columns))
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := (vgimg.PngCanvas{Canvas: img}).WriteTo(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
