package starvation

import (
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// agesChart is the picture of the documentation.
func (r *report) agesChart() lab.Chart {
	return r.chart("Wait of the oldest job of each queue, in seconds",
		func(o *outcome) []sample { return samples(o.looks, look.seconds) })
}

// Charts are the pictures of the page.
func (r *report) Charts() []lab.Chart {
	return []lab.Chart{r.agesChart(),
		r.chart("Jobs of each queue that wait",
			func(o *outcome) []sample { return samples(o.looks, look.sizes) }),
		r.chart("Threads that work for each queue", (*outcome).busy)}
}

// Chart shows the others' waits in each way.
func (p played) Chart() lab.Chart {
	c := lab.Chart{Title: p.Name + ": wait of the oldest job of the others, in seconds",
		XTitle:   "seconds; a line ends when all jobs of the other hosts have started",
		MarkName: p.scenario.host + " host", Mark: p.scenario.begins().Seconds(), Height: 0.1}
	for _, w := range p.Ways {
		line := lab.Line{Name: "others", Points: w.ages(p.scenario.host), Shaded: true}
		c.Width, c.Height = max(c.Width, line.End()), max(c.Height, w.Max*1.05)
		c.Panels = append(c.Panels, lab.Panel{Title: w.title(), Subtitle: w.Subtitle(),
			Lines: []lab.Line{line}})
	}
	return c
}

// begins is when the first job of the host that is apart comes.
func (s scenario) begins() time.Duration {
	i := slices.IndexFunc(s.load, func(a arrival) bool { return a.host == s.host })
	return s.load[i].at
}

func (w way) title() string { return w.Name + ": the others wait up to " + human(w.Max) }

// Subtitle says how many jobs of the one host ran at once.
func (w way) Subtitle() string {
	if w.AtOnce == 0 {
		return "it sends nothing"
	}
	return fmt.Sprintf("it holds up to %d of %d threads", w.AtOnce, threads)
}

// ages is how long the oldest job of the other hosts had waited at each of 300 moments.
func (w way) ages(apart string) []lab.Point {
	others := slices.DeleteFunc(slices.Clone(w.runs), func(r ran) bool { return r.host == apart })
	var end time.Duration
	for _, r := range others {
		end = max(end, r.start)
	}
	points := make([]lab.Point, 301)
	for i := range points {
		at := end * time.Duration(i) / 300
		points[i].X = at.Seconds()
		for _, r := range others {
			if r.pushed <= at && at < r.start {
				points[i].Y = max(points[i].Y, (at - r.pushed).Seconds())
			}
		}
	}
	return points
}

// sample is a value of each queue at a moment.
type sample struct {
	at     time.Duration
	values map[string]float64
}

func samples(looks []look, of func(look) map[string]float64) (list []sample) {
	for _, l := range looks {
		list = append(list, sample{l.at, of(l)})
	}
	return list
}

func (l look) seconds() map[string]float64 {
	m := map[string]float64{}
	for q, d := range l.age {
		m[q] = d.Seconds()
	}
	return m
}

func (l look) sizes() map[string]float64 {
	m := map[string]float64{}
	for q, n := range l.size {
		m[q] = float64(n)
	}
	return m
}

// busy are the threads that worked for each queue, as means of two seconds.
func (o *outcome) busy() []sample {
	const step = 2 * time.Second
	list := make([]sample, int(o.end()/step)+1)
	for i := range list {
		list[i] = sample{time.Duration(i) * step, map[string]float64{}}
	}
	for _, r := range o.runs {
		for at := max(r.start, 0); at < r.end; {
			i := int(at / step)
			until := min(r.end, time.Duration(i+1)*step)
			if i < len(list) {
				list[i].values[r.queue] += float64(until-at) / float64(step)
			}
			at = until
		}
	}
	return list
}

// chart draws all arrangements on the same axes.
func (r *report) chart(title string, of func(*outcome) []sample) lab.Chart {
	c := lab.Chart{Title: title, XTitle: "seconds; a line ends when no queue holds a job",
		Mark: r.BurstAt, MarkName: "burst", Height: 1}
	for i, o := range r.outcomes {
		f := r.Arrangements[i]
		p := lab.Panel{Title: f.Finding, Subtitle: f.Story}
		victims := map[string]bool{}
		for _, v := range f.victims(r.burstQueue) {
			victims[v.Queue] = true
		}
		list := of(o)
		for _, q := range queues {
			l := lab.Line{Name: q, Shaded: victims[q]}
			for _, s := range list {
				l.Points = append(l.Points, lab.Point{X: s.at.Seconds(), Y: s.values[q]})
				c.Height = max(c.Height, s.values[q]*1.05)
			}
			p.Lines = append(p.Lines, l)
		}
		c.Width = max(c.Width, f.End)
		if f.CutOff {
			p.Subtitle += " (cut off)"
		}
		c.Panels = append(c.Panels, p)
	}
	return c
}
