package dashboard

import (
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// overviewDays is how many days the chart of runs has.
const overviewDays = 30

// overviewPage is the data of the first page.
type overviewPage struct {
	Stats   inspect.Stats         `json:"stats"`
	Threads int                   `json:"threads"` // of all processes
	Queues  []inspect.QueueStatus `json:"queues"`
	Stuck   []inspect.Finding     `json:"stuck"`
	Days    []inspect.Day         `json:"days"` // today first
	Chart   []bar                 `json:"-"`
}

func (q *request) overview() (*view, error) {
	p := overviewPage{Queues: []inspect.QueueStatus{}, Stuck: []inspect.Finding{}}
	var err error
	if p.Stats, err = q.in().Stats(q.ctx); err != nil {
		return nil, err
	}
	processes, err := q.in().Processes(q.ctx)
	if err != nil {
		return nil, err
	}
	for _, process := range processes {
		p.Threads += process.Concurrency
	}
	queues, err := q.in().QueueStatus(q.ctx)
	if err != nil {
		return nil, err
	}
	stuck, err := q.in().Stuck(q.ctx, 0)
	if err != nil {
		return nil, err
	}
	if p.Days, err = q.in().History(q.ctx, overviewDays); err != nil {
		return nil, err
	}
	p.Queues, p.Stuck = append(p.Queues, queues...), append(p.Stuck, stuck...)
	p.Chart = bars(p.Days)
	return &view{page: "overview", nav: "overview", title: q.t("nav.overview"), data: p}, nil
}

// bar is a day in the chart, in its units: the highest bar is chartHeight.
type bar struct {
	X, Y, Height       int // of all runs
	FailedY, FailedTop int // of those that failed
}

// The chart in units of its own, which the browser scales.
const (
	chartHeight = 100
	barWidth    = 8
	barStep     = 10
)

// bars draws days from left to right.
func bars(days []inspect.Day) (list []bar) {
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Processed, d.Failed)
	}
	for i := range days {
		d := days[len(days)-1-i]
		b := bar{X: i * barStep, Height: scaled(d.Processed, most), FailedTop: scaled(d.Failed,
			most)}
		b.Y, b.FailedY = chartHeight-b.Height, chartHeight-b.FailedTop
		list = append(list, b)
	}
	return list
}

// scaled is the height of a bar. A number over 0 is always seen.
func scaled(n, most int64) int {
	if n <= 0 {
		return 0
	}
	return max(1, int(float64(n)/float64(most)*chartHeight))
}

// Width and the others are the sizes of the chart, for its template.
func (p overviewPage) Width() int    { return len(p.Days) * barStep }
func (p overviewPage) Height() int   { return chartHeight }
func (p overviewPage) BarWidth() int { return barWidth }

// Today is the last day, and First the earliest of the chart.
func (p overviewPage) Today() inspect.Day { return p.Days[0] }
func (p overviewPage) First() inspect.Day { return p.Days[len(p.Days)-1] }

// sidekiqStats is the answer of Sidekiq's Web UI at the same path, for programs that poll it.
func (q *request) sidekiqStats() (*view, error) {
	s, err := q.in().Stats(q.ctx)
	if err != nil {
		return nil, err
	}
	info, err := q.d.Store.DB().Shared.Info(q.ctx).Result()
	if err != nil {
		return nil, err
	}
	return &view{data: map[string]any{
		"sidekiq": map[string]any{"processed": s.Processed, "failed": s.Failed, "busy": s.Busy,
			"processes": s.Processes, "enqueued": s.Enqueued, "scheduled": s.Scheduled,
			"retries": s.Retries, "dead": s.Dead, "default_latency": s.DefaultLatency},
		"redis":           redisStats(info),
		"server_utc_time": time.Now().UTC().Format("15:04:05 UTC"),
	}}, nil
}

// sidekiqQueues are the sizes of the queues, as Sidekiq's Web UI answers.
func (q *request) sidekiqQueues() (*view, error) {
	list, err := q.in().Queues(q.ctx)
	sizes := map[string]int64{}
	for _, info := range list {
		sizes[info.Name] = info.Size
	}
	return &view{data: sizes}, err
}
