package starvation

import (
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
