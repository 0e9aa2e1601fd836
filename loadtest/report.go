package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// queueFigures are what one queue got in an arrangement.
type queueFigures struct {
	Queue      string  `json:"queue"`
	Done       int     `json:"done"`
	Left       int     `json:"left"` // waiting, or running, at the end
	Throughput float64 `json:"jobs_per_second"`
	// from push to start; of jobs that have not started, until the end
	P50     float64 `json:"wait_p50_s"`
	P95     float64 `json:"wait_p95_s"`
	P99     float64 `json:"wait_p99_s"`
	Max     float64 `json:"wait_max_s"`
	Longest int     `json:"longest_queue"`
}

// arrangementFigures are what became of an arrangement.
type arrangementFigures struct {
	Name   string         `json:"name"`
	Story  string         `json:"story"`
	Busy   float64        `json:"threads_busy"` // on average
	Queues []queueFigures `json:"queues"`

	Length, Age, Threads template.HTML `json:"-"`
}

// report is the whole experiment.
type report struct {
	Runtime      string               `json:"runtime"`
	Date         string               `json:"date"`
	Machine      string               `json:"machine"`
	Seed         uint64               `json:"seed"`
	Speed        float64              `json:"times_faster_than_life"`
	Seconds      float64              `json:"seconds_of_life"`
	Jobs         int                  `json:"jobs"`
	Burst        string               `json:"burst"`
	BurstAt      float64              `json:"burst_at_s"`
	Arrangements []arrangementFigures `json:"arrangements"`
	Answers      []answer             `json:"known_answers"`
	Conclusion   string               `json:"conclusion"`

	length, burstAt time.Duration
	burstQueue      string
	outcomes        []*outcome
}

func newReport(o starvationOptions, b burst, burstAt time.Duration, jobs int, all []*outcome,
	answers []answer) *report {
	r := &report{Runtime: runtimeName(o.runtime), Date: time.Now().Format(time.DateOnly),
		Machine: fmt.Sprintf("%d cores, %s", cpus(), model()), Seed: o.seed, Speed: o.speed,
		Seconds: o.length.Seconds(), Jobs: jobs, Burst: b.story, BurstAt: burstAt.Seconds(),
		Answers: answers, length: o.length, burstAt: burstAt, burstQueue: b.queue, outcomes: all}
	load := workload(o.seed, threads, o.busy, o.length, burstAt, b)
	for _, got := range all {
		f := arrangementFigures{Name: got.Name, Story: got.Story}
		for _, q := range queues {
			f.Queues = append(f.Queues, got.figures(q, load, o.length))
		}
		for _, x := range got.runs {
			f.Busy += (x.end - x.start).Seconds() / o.length.Seconds()
		}
		r.Arrangements = append(r.Arrangements, f)
	}
	r.Conclusion = r.conclude()
	return r
}

// figures sums up one queue. A queue is first in, first out, so the jobs that have
// not ended are those that came last.
func (g *outcome) figures(q string, load []arrival, length time.Duration) queueFigures {
	f := queueFigures{Queue: q}
	var waits []float64
	for _, x := range g.runs {
		if x.queue == q {
			waits = append(waits, (x.start - x.pushed).Seconds())
		}
	}
	f.Done = len(waits)
	var came []time.Duration
	for _, a := range load {
		if a.queue == q && a.at < length {
			came = append(came, a.at)
		}
	}
	f.Left = max(len(came)-f.Done, 0)
	for _, at := range came[len(came)-f.Left:] {
		waits = append(waits, (length - at).Seconds())
	}
	f.Throughput = float64(f.Done) / length.Seconds()
	slices.Sort(waits)
	at := func(share float64) float64 {
		if len(waits) == 0 {
			return 0
		}
		return waits[int(share*float64(len(waits)-1))]
	}
	f.P50, f.P95, f.P99, f.Max = at(0.5), at(0.95), at(0.99), at(1)
	for _, l := range g.looks {
		f.Longest = max(f.Longest, l.size[q])
	}
	return f
}

func (f arrangementFigures) of(q string) queueFigures {
	i := slices.IndexFunc(f.Queues, func(x queueFigures) bool { return x.Queue == q })
	return f.Queues[i]
}

// conclude says in words what the figures show.
func (r *report) conclude() string {
	by := map[string]arrangementFigures{}
	for _, a := range r.Arrangements {
		by[a.Name] = a
	}
	below := slices.DeleteFunc(slices.Clone(queues), func(q string) bool {
		return slices.Index(queues, q) <= slices.Index(queues, r.burstQueue)
	})
	victim, worst := r.burstQueue, -1.0
	for _, q := range below {
		if p := by["single"].of(q).P95; p > worst {
			victim, worst = q, p
		}
	}
	text := fmt.Sprintf("The burst fills %s. In one process in strict order the queues below it "+
		"stand still until it is worked off: of %s, one job in twenty waits for %s or longer "+
		"(the longest %s).",
		r.burstQueue, victim, human(worst), human(by["single"].of(victim).Max))
	text += fmt.Sprintf(" With the same 20 threads in four processes, one queue each, that is "+
		"%s: the burst is %s's own affair, which takes longer for it (its p95 is %s, in one "+
		"process %s), because threads of the other queues do not help.",
		human(by["split"].of(victim).P95), r.burstQueue, human(by["split"].of(r.burstQueue).P95),
		human(by["single"].of(r.burstQueue).P95))
	text += fmt.Sprintf(" Weights in one process let nobody starve, but slow all down: %s for %s.",
		human(by["weighted"].of(victim).P95), victim)
	text += fmt.Sprintf(" Rotated processes keep a quarter of the threads for each queue while "+
		"it has jobs, and lend them when it has none: %s for %s, and %s for %s.",
		human(by["rotated"].of(victim).P95), victim, human(by["rotated"].of(r.burstQueue).P95),
		r.burstQueue)
	return text
}

func human(seconds float64) string {
	switch {
	case seconds < 0.1:
		return fmt.Sprintf("%.0f ms", math.Max(seconds*1000, 1))
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	default:
		return fmt.Sprintf("%.0f s", seconds)
	}
}

// print writes the tables for the terminal.
func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s, %s, seed %d. Waits from push to start; of jobs that had not started, "+
		"until the end.\n\n", r.Date, r.Machine, r.Seed)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\tqueue\tdone\tleft\tjobs/s\tp50\tp95\tp99\tmax\tlongest queue\tthreads busy")
	for _, a := range r.Arrangements {
		for i, q := range a.Queues {
			name, busy := "", ""
			if i == 0 {
				name, busy = a.Name, fmt.Sprintf("%.1f of %d", a.Busy, threads)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.2f\t%s\t%s\t%s\t%s\t%d\t%s\n", name, q.Queue, q.Done,
				q.Left, q.Throughput, human(q.P50), human(q.P95), human(q.P99), human(q.Max),
				q.Longest, busy)
		}
	}
	w.Flush()
	fmt.Fprintln(out)
	for _, a := range r.Answers {
		verdict := "right"
		if !a.Right {
			verdict = "WRONG"
		}
		fmt.Fprintf(out, "%s: %s: %s\n", verdict, a.What, a.Found)
	}
	fmt.Fprintf(out, "\n%s\n", r.Conclusion)
}

// busyLooks are the threads that worked for each queue, over time.
func (g *outcome) busyLooks(length time.Duration) []look {
	const step = 2 * time.Second
	n := int(length/step) + 1
	spent := make([]map[string]time.Duration, n)
	for i := range spent {
		spent[i] = map[string]time.Duration{}
	}
	for _, x := range g.runs {
		for at := x.start; at < x.end; {
			i := int(at / step)
			until := min(x.end, time.Duration(i+1)*step)
			if i >= 0 && i < n {
				spent[i][x.queue] += until - at
			}
			at = until
		}
	}
	looks := make([]look, n)
	for i := range looks {
		looks[i] = look{at: time.Duration(i) * step, age: map[string]time.Duration{}}
		for q, d := range spent[i] {
			// threads, as seconds
			looks[i].age[q] = time.Duration(float64(d) / float64(step) * float64(time.Second))
		}
	}
	return looks
}

// charts makes the lines of one kind for all arrangements, on one scale.
func (r *report) charts(unit string, of func(look) map[string]float64,
	looks func(*outcome) []look) (list []series) {
	top := 1.0
	for _, g := range r.outcomes {
		for _, l := range looks(g) {
			for _, v := range of(l) {
				top = math.Max(top, v)
			}
		}
	}
	for _, g := range r.outcomes {
		list = append(list, series{title: g.Name, unit: unit, burst: r.burstAt, length: r.length,
			top: top * 1.05, of: of, looks: looks(g)})
	}
	return list
}

func ages(l look) map[string]float64 {
	m := map[string]float64{}
	for q, d := range l.age {
		m[q] = d.Seconds()
	}
	return m
}

func sizes(l look) map[string]float64 {
	m := map[string]float64{}
	for q, n := range l.size {
		m[q] = float64(n)
	}
	return m
}

// legend says which color is which queue's.
func legend() template.HTML {
	var b strings.Builder
	for _, q := range queues {
		c := colors[q]
		fmt.Fprintf(&b, `<span><i style="background: rgb(%d %d %d)"></i>%s</span> `, c.R, c.G, c.B,
			q)
	}
	return template.HTML(`<p class="legend">` + b.String() +
		`<span><i class="burst"></i>burst</span></p>`)
}

//go:embed report.html
var page string

// write writes starvation.html, starvation.json and starvation.png.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	seen := func(g *outcome) []look { return g.looks }
	age := r.charts("oldest job waits (s)", ages, seen)
	kinds := [][]series{age, r.charts("jobs waiting", sizes, seen),
		r.charts("threads busy", ages, func(g *outcome) []look { return g.busyLooks(r.length) })}
	for i := range r.Arrangements {
		a := &r.Arrangements[i]
		for k, to := range []*template.HTML{&a.Age, &a.Length, &a.Threads} {
			svg, err := kinds[k][i].svg()
			if err != nil {
				return err
			}
			*to = template.HTML(svg) // made here, of numbers and our own names
		}
	}
	name := "starvation"
	if r.Runtime != "Kyu" {
		name = "starvation-sidekiq"
	}
	if err := png(filepath.Join(dir, name+".png"), age); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, name+".html"))
	if err != nil {
		return err
	}
	t, err := template.New("report").Funcs(template.FuncMap{"human": human,
		"legend": legend}).Parse(page)
	if err == nil {
		err = t.Execute(f, r)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	fmt.Printf("\nThe report is %s, with .json and .png beside it.\n",
		filepath.Join(dir, name+".html"))
	return err
}
