package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// plotQueues is how many queues a chart shows at most: there are as many colours.
	plotQueues = 8
	// plotColumns is how many values a line has at most.
	plotColumns = 240
)

// span is a time before now that a person can choose.
type span struct {
	Name string // in the address
	Unit string // its text
	N    int
	d    time.Duration
	Here bool   // it is the one of the page
	To   string // the address of the page with it
}

var spans = []span{
	{Name: "1h", Unit: "unit.h", N: 1, d: time.Hour},
	{Name: "8h", Unit: "unit.h", N: 8, d: 8 * time.Hour},
	{Name: "3d", Unit: "unit.d", N: 3, d: 3 * 24 * time.Hour},
	{Name: "7d", Unit: "unit.d", N: 7, d: 7 * 24 * time.Hour},
	{Name: "30d", Unit: "unit.d", N: 30, d: 30 * 24 * time.Hour},
	{Name: "400d", Unit: "unit.d", N: 400, d: inspect.MaxHistory},
}

// period is the time that a page of metrics shows.
type period struct {
	Since string         `json:"since"`
	Spans []span         `json:"-"`
	Marks []inspect.Mark `json:"deploys"` // of the time, the newest first
	d     time.Duration
	now   time.Time
}

// period reads which time is wanted, and its deploys.
func (q *request) period() (p period, err error) {
	p = period{now: time.Now(), Marks: []inspect.Mark{}}
	name := cmp.Or(q.FormValue("since"), spans[0].Name)
	for _, s := range spans {
		query := url.Values{"since": {s.Name}}
		if queue := q.FormValue("queue"); queue != "" {
			query.Set("queue", queue)
		}
		s.To, s.Here = q.URL.EscapedPath()+"?"+query.Encode(), s.Name == name
		if s.Here {
			p.Since, p.d = s.Name, s.d
		}
		p.Spans = append(p.Spans, s)
	}
	if p.d == 0 {
		return p, &problem{http.StatusBadRequest, q.t("problem.since", name)}
	}
	days := min(90, int(p.d/(24*time.Hour))+2)
	marks, err := q.in().Marks(q.ctx, days, p.now)
	for _, m := range slices.Backward(marks) {
		if m.At.After(p.now.Add(-p.d)) && !m.At.After(p.now) {
			p.Marks = append(p.Marks, m)
		}
	}
	return p, err
}

// plot makes an empty plot of the period. A deploy before its first column is left out.
func (p *period) plot(name, unit string, columns inspect.Columns) *plot {
	chart := &plot{Name: name, Unit: unit, Lines: []line{}, Marks: []inspect.Mark{}}
	for i := range columns.Len() {
		chart.Times = append(chart.Times, columns.At(i).Unix())
	}
	for _, m := range p.Marks {
		if !m.At.Before(chart.From()) && !m.At.After(chart.To()) {
			chart.Marks = append(chart.Marks, m)
		}
	}
	return chart
}

// metricsPage is the data of the page of metrics.
type metricsPage struct {
	period
	Queue   string        `json:"queue,omitempty"` // the only one, if a person wants it
	Hidden  int           `json:"hidden_queues"`   // that have a history too
	Charts  []*plot       `json:"charts"`
	Classes []classTotals `json:"classes"`
	Capped  bool          `json:"classes_capped"` // the sums are of the last 72 hours
}

func (q *request) metrics() (*view, error) {
	span, err := q.period()
	p := metricsPage{period: span, Queue: q.FormValue("queue"), Charts: []*plot{},
		Capped: span.d > inspect.MaxMetrics}
	if err != nil {
		return nil, err
	}
	names, err := q.plotQueues(&p)
	if err != nil {
		return nil, err
	}
	if p.Charts, err = q.queuePlots(&p.period, names); err != nil {
		return nil, err
	}
	classes, err := q.in().Metrics(q.ctx, min(p.d, inspect.MaxMetrics), p.now)
	p.Classes = []classTotals{}
	for _, c := range classes {
		p.Classes = append(p.Classes, classTotals{c})
	}
	return &view{page: "metrics", nav: "metrics", title: q.t("nav.metrics"), data: p}, err
}

// plotQueues are the names of the largest queues that have a history, sorted so that a queue keeps
// its colour.
func (q *request) plotQueues(p *metricsPage) ([]string, error) {
	if p.Queue != "" {
		return []string{p.Queue}, nil
	}
	names, err := q.in().QueuesWithHistory(q.ctx)
	if err != nil || len(names) <= plotQueues {
		return names, err
	}
	p.Hidden = len(names) - plotQueues
	list, err := q.in().Queues(q.ctx)
	if err != nil {
		return nil, err
	}
	size := map[string]int64{}
	for _, info := range list {
		size[info.Name] = info.Size
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(size[b], size[a]) })
	names = names[:plotQueues]
	slices.Sort(names)
	return names, nil
}

// queuePlots draws what workers wrote about queues. Queues without points have no lines, and
// without any lines there are no charts.
func (q *request) queuePlots(p *period, names []string) (charts []*plot, err error) {
	charts = []*plot{}
	kinds := []struct {
		name, unit string
		of         func(inspect.QueueColumn) float64
	}{
		{"size", "jobs", func(c inspect.QueueColumn) float64 { return float64(c.Size) }},
		{"age", "seconds", func(c inspect.QueueColumn) float64 { return c.Age }},
		{"in", "per_second", func(c inspect.QueueColumn) float64 { return c.In }},
		{"out", "per_second", func(c inspect.QueueColumn) float64 { return c.Out }},
	}
	for _, name := range names {
		points, step, err := q.in().QueueHistory(q.ctx, name, p.d)
		if err != nil {
			return nil, err
		}
		if len(points) == 0 {
			continue
		}
		columns := inspect.NewColumns(p.now, p.d, step, plotColumns)
		for i, kind := range kinds {
			if len(charts) == i {
				charts = append(charts, p.plot(kind.name, kind.unit, columns))
			}
			l := line{Name: name, Label: cut(60, name)}
			for _, col := range columns.Queue(points) {
				if !col.Known {
					l.Values = append(l.Values, nil)
					continue
				}
				l.Values = append(l.Values, known(kind.of(col)))
			}
			charts[i].Lines = append(charts[i].Lines, l)
		}
	}
	return charts, nil
}

// classTotals are the sums of a class.
type classTotals struct{ inspect.ClassTotals }

// Seconds is the time of the successful runs together.
func (c classTotals) Seconds() float64 { return float64(c.Millis) / 1000 }

// Mean is the mean time of the successful runs in seconds, or nil.
func (c classTotals) Mean() *float64 {
	if good := c.Processed - c.Failed; good > 0 {
		return known(c.Seconds() / float64(good))
	}
	return nil
}

// classPage is the data of the page of the metrics of a class.
type classPage struct {
	period
	Class  string      `json:"class"`
	Total  classTotals `json:"total"`
	Charts []*plot     `json:"charts"`
	// Times is the histogram of the run times, of at most the last 8 hours.
	Times []bucket `json:"run_times"`
	Most  int64    `json:"-"` // runs of the fullest bucket
}

// bucket counts the runs that took less than a time, and not less than that of the one before.
type bucket struct {
	Below *float64 `json:"below_seconds"` // nil: longer
	Runs  int64    `json:"runs"`
}

func (q *request) classMetrics() (*view, error) {
	span, err := q.period()
	if err != nil {
		return nil, err
	}
	class := q.PathValue("class")
	p := classPage{period: span, Class: class, Charts: []*plot{}, Times: []bucket{},
		Total: classTotals{inspect.ClassTotals{Class: class}}}
	points, step, err := q.in().ClassHistory(q.ctx, class, p.d)
	if err != nil {
		return nil, err
	}
	for _, point := range points {
		p.Total.Processed += point.Processed
		p.Total.Failed += point.Failed
		p.Total.Millis += point.Millis
	}
	if len(points) > 0 {
		p.Charts = q.classPlots(&p.period, points, step)
	}
	counts, err := q.in().Histogram(q.ctx, class, min(p.d, inspect.MaxHistogram), p.now)
	if err != nil {
		return nil, err
	}
	bounds := queue.HistogramBounds()
	for i, n := range counts {
		b := bucket{Runs: n}
		if i < len(bounds) {
			b.Below = known(float64(bounds[i]) / 1000)
		}
		if n > 0 {
			p.Times, p.Most = append(p.Times, b), max(p.Most, n)
		}
	}
	return &view{page: "classmetrics", nav: "metrics", title: q.t("title.metrics", class),
		data: p}, nil
}

// classPlots draws the runs of a class.
func (q *request) classPlots(p *period, points []inspect.ClassPoint,
	step time.Duration) []*plot {
	columns := inspect.NewColumns(p.now, p.d, step, plotColumns)
	runs := line{Name: "runs", Label: q.t("metrics.runs")}
	failures := line{Name: "failures", Label: q.t("metrics.failures")}
	mean := line{Name: "mean", Label: q.t("metrics.mean")}
	for _, col := range columns.Class(points) {
		runs.Values = append(runs.Values, known(col.Runs))
		failures.Values = append(failures.Values, known(col.Failures))
		if col.Runs > col.Failures {
			mean.Values = append(mean.Values, known(col.Mean))
			continue
		}
		mean.Values = append(mean.Values, nil)
	}
	rates := p.plot("runs", "per_second", columns)
	rates.Lines = []line{runs, failures}
	times := p.plot("mean", "seconds", columns)
	times.Lines = []line{mean}
	return []*plot{rates, times}
}

// metricsRoutes are the pages of metrics.
func (d *Dashboard) metricsRoutes() (list []route) {
	for _, base := range []string{"", "/api/v1"} {
		for pattern, read := range map[string]func(*request) (*view, error){
			"/metrics": (*request).metrics, "/metrics/{class}": (*request).classMetrics} {
			if base != "" {
				read = asJSON(read)
			}
			list = append(list, route{method: "GET", pattern: base + pattern,
				role: access.Viewer, read: read})
		}
	}
	return list
}
