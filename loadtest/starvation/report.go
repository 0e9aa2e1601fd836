package starvation

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// report is the result of the whole experiment.
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
	Scenarios    []played             `json:"scenarios,omitempty"`
	Answers      []answer             `json:"known_answers"`
	Conclusion   string               `json:"conclusion"`

	burstQueue string
	outcomes   []*outcome
}

func newReport(e *experiment, all []*outcome, scenarios []played, answers []answer) *report {
	r := &report{Runtime: e.runtimeName(), Date: time.Now().Format(time.DateOnly),
		Machine: fmt.Sprintf("%d cores, %s", lab.Cores(), lab.Processor()), Seed: e.seed,
		Speed: e.speed, Seconds: e.length.Seconds(), Burst: e.burst.story,
		BurstAt: e.burstAt.Seconds(), Scenarios: scenarios, Answers: answers,
		burstQueue: e.burst.queue, outcomes: all}
	for _, got := range all {
		r.Arrangements = append(r.Arrangements, got.allFigures(e))
	}
	for _, q := range r.Arrangements[0].Queues {
		r.Jobs += q.Jobs
	}
	if len(e.only) == 0 {
		r.Conclusion = r.conclude()
	}
	return r
}

// conclude puts the figures into words.
func (r *report) conclude() string {
	by := map[string]arrangementFigures{}
	for _, a := range r.Arrangements {
		by[a.Name] = a
	}
	burst, victim := r.burstQueue, r.burstQueue
	text := fmt.Sprintf("The burst fills %s.", burst)
	if victims := by["single"].victims(burst); len(victims) > 0 {
		victim = victims[0].Queue
		text += fmt.Sprintf(" In one process in strict order the queues below it wait until "+
			"it is empty: the jobs of %s %s.", victim, victims[0].upTo())
	}
	p95 := func(arrangement, q string) string {
		f := by[arrangement].of(q)
		return f.Wait(f.P95)
	}
	text += fmt.Sprintf(" One job in twenty of %s waits for %s or longer.", victim,
		p95("single", victim))
	text += fmt.Sprintf(" With the same 20 threads in one process per queue that is %s. The jobs "+
		"of %s wait longer then (p95 %s, in one process %s), because the threads of the other "+
		"queues do not help.", p95("split", victim), burst, p95("split", burst),
		p95("single", burst))
	text += fmt.Sprintf(" With weights in one process every queue gets threads, but fewer: "+
		"p95 %s for %s, %s for %s.", p95("weighted", victim), victim, p95("weighted", burst),
		burst)
	text += fmt.Sprintf(" Rotated processes keep a quarter of the threads for each queue while "+
		"it has jobs, and lend them when it has none: p95 %s for %s, %s for %s.",
		p95("rotated", victim), victim, p95("rotated", burst), burst)
	if _, has := by["lanes"]; has {
		text += fmt.Sprintf(" A lane per host, of at most %d threads, leaves the order of queues "+
			"as it is, and bounds what one host holds: p95 %s for %s, %s for %s.", hostMax,
			p95("lanes", victim), victim, p95("lanes", burst), burst)
	}
	return text
}

// printWaits writes how long the jobs of each arrangement wait.
func (r *report) printWaits(out io.Writer) {
	fmt.Fprintf(out, "\n%s, %s, seed %d. Waits from push to start.\n\n", r.Date, r.Machine, r.Seed)
	w := lab.Table(out, "\tqueue\tjobs\tleft\tp50\tp95\tp99\tmax\tlongest queue\tthreads busy\t"+
		"late jobs until")
	for _, a := range r.Arrangements {
		for i, q := range a.Queues {
			name, busy, late := "", "", ""
			if i == 0 {
				name, late = a.Name, a.Late()
				busy = fmt.Sprintf("%.1f of %d", a.Busy, threads)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", name, q.Queue, q.Jobs,
				q.Left, q.Wait(q.P50), q.Wait(q.P95), q.Wait(q.P99), q.Wait(q.Max), q.Longest,
				busy, late)
		}
	}
	w.Flush()
}

// print writes the tables for the terminal.
func (r *report) print(out io.Writer) {
	r.printWaits(out)
	r.printScenarios(out)
	fmt.Fprintln(out)
	for _, a := range r.Answers {
		verdict := "right"
		if !a.Right {
			verdict = "WRONG"
		}
		fmt.Fprintf(out, "%s: %s: %s\n", verdict, a.Case, a.Found)
	}
	fmt.Fprintln(out)
	for _, a := range r.Arrangements {
		fmt.Fprintln(out, a.Finding)
	}
	fmt.Fprintf(out, "\n%s\n", r.Conclusion)
}

// printScenarios writes how long the other hosts wait in each scenario.
func (r *report) printScenarios(out io.Writer) {
	if len(r.Scenarios) == 0 {
		return
	}
	fmt.Fprintf(out, "\nWaits of the other hosts, without lanes and with at most %d jobs of a "+
		"host at once.\n\n", hostMax)
	t := lab.Table(out, "scenario\t\tjobs\tp50\tp95\tp99\tmax\tthreads of the one host")
	for _, p := range r.Scenarios {
		for _, w := range p.Ways {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\n", p.Name, w.Name, w.Jobs,
				human(w.P50), human(w.P95), human(w.P99), human(w.Max), w.AtOnce)
		}
	}
	t.Flush()
}

//go:embed report.html
var page string

// write writes the report as a page, as numbers, and as the picture of the documentation.
func (r *report) write(dir string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "starvation")
	if r.Runtime != "Kyu" {
		name += "-sidekiq"
	}
	numbers, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", append(numbers, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(name+".svg", []byte(r.agesChart().SVG()), 0o644); err != nil {
		return err
	}
	for _, p := range r.Scenarios {
		path := name + "-" + strings.ReplaceAll(p.Name, " ", "-") + ".svg"
		if err := os.WriteFile(path, []byte(p.Chart().SVG()), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nThe report is %s.html, with .json and .svg beside it.\n", name)
	return r.writePage(name + ".html")
}

func (r *report) writePage(path string) error {
	t, err := template.New("report").Funcs(template.FuncMap{"picture": picture,
		"human": human}).Parse(page)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := t.Execute(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// picture puts a chart into the page. Its texts are escaped where it is made.
func picture(c lab.Chart) template.HTML { return template.HTML(c.SVG()) }
