package lab

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestChart(t *testing.T) {
	chart := Chart{Title: "Waits", XTitle: "seconds", Mark: 60, MarkName: "burst", Width: 100,
		Height: 50, Panels: []Panel{{Title: "a < b", Subtitle: "& so on", Lines: []Line{
			{Name: "default", Points: []Point{{0, 0}, {50, 0}, {100, 0}}},
			{Name: "push", Points: []Point{{0, 0}, {50, 40}, {100, 0}}, Shaded: true}}}}}
	svg := chart.SVG()
	t.Run("is well-formed", func(t *testing.T) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("names lines where they end, the highest first", func(t *testing.T) {
		push, def := strings.Index(svg, ">push<"), strings.Index(svg, ">default<")
		if push < 0 || def < push {
			t.Errorf("push is at %d, default at %d", push, def)
		}
	})
	t.Run("shades the lines that ask for it", func(t *testing.T) {
		if strings.Count(svg, `class="area`) != 1 || !strings.Contains(svg, `class="area a1"`) {
			t.Error("not one area, or not that of push")
		}
	})
	t.Run("a level line is two points", func(t *testing.T) {
		if got := chart.path(chart.Panels[0].Lines[0].Points, 96); got != "38 96 356 96" {
			t.Errorf("%q", got)
		}
	})
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name string
		top  float64
		want []float64
	}{
		{"hundreds", 305, []float64{0, 100, 200, 300}},
		{"fewer when there are too many", 450, []float64{0, 200, 400}},
		{"ones", 3, []float64{0, 1, 2, 3}},
		{"nothing", 0, []float64{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ticks(c.top, 4); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestStatistics(t *testing.T) {
	t.Run("a median is the middle one", func(t *testing.T) {
		if got := Median([]float64{9, 1, 5}); got != 5 {
			t.Error(got)
		}
	})
	t.Run("a quantile of nothing is 0", func(t *testing.T) {
		if got := Quantile(nil, 0.5); got != 0 {
			t.Error(got)
		}
	})
	t.Run("quantiles include the ends", func(t *testing.T) {
		values := []float64{1, 2, 3, 4, 5}
		if Quantile(values, 0) != 1 || Quantile(values, 0.5) != 3 || Quantile(values, 1) != 5 {
			t.Error(Quantile(values, 0), Quantile(values, 0.5), Quantile(values, 1))
		}
	})
	t.Run("a ratio to nothing is 0", func(t *testing.T) {
		if got := Ratio(3, 0); got != 0 {
			t.Error(got)
		}
	})
}
