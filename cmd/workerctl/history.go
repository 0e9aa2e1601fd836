package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// history is the command that draws what workers wrote about a queue or a class.
type history struct {
	since span
	class string
}

func (c *call) historyCommand() *cobra.Command {
	h := &history{since: span(time.Hour)}
	cmd := c.command("history QUEUE", "length, age and flow of a queue over time", h.run)
	cmd.Long = "length, age of the oldest job, and jobs in and out of a queue over time, or\n" +
		"with --class runs, failures and run time of a class. The points of a queue are\n" +
		"10 seconds apart for up to 6 hours, a minute up to 7 days, and an hour up to\n400 days"
	cmd.Example = "workerctl history push\nworkerctl history push --since 7d\n" +
		"workerctl history --class ActivityPub::DeliveryWorker --since 400d"
	cmd.Args = checked(h.check)
	c.completes(cmd, firstWord(queuesWithHistory))
	f := cmd.Flags()
	f.Var(&h.since, "since", "the last `DURATION`, from 1m to 400d")
	f.StringVar(&h.class, "class", "", "a `CLASS` instead of a queue")
	c.completesFlag(cmd, "class", classesWithHistory)
	c.watchable(cmd)
	return cmd
}

func (h *history) check(words []string) error {
	switch {
	case h.class != "" && len(words) > 0:
		return errors.New("want a queue or --class, and got both")
	case h.class == "" && len(words) != 1:
		return errors.New("want one queue, or --class CLASS")
	}
	return nil
}

func queuesWithHistory(ctx context.Context, c *call, _ []string) ([]string, error) {
	return c.inspector.QueuesWithHistory(ctx)
}

func classesWithHistory(ctx context.Context, c *call, _ []string) ([]string, error) {
	return c.inspector.ClassesWithHistory(ctx)
}

func (h *history) run(ctx context.Context, c *call, words []string) error {
	if h.class != "" {
		return h.ofClass(ctx, c)
	}
	return h.ofQueue(ctx, c, words[0])
}

// queuePoint is a point of a queue for programs.
type queuePoint struct {
	At   time.Time `json:"at"`
	Step int       `json:"step_seconds"`
	Size int64     `json:"size_jobs"`
	Age  float64   `json:"age_seconds"`
	In   int64     `json:"in_jobs"`
	Out  int64     `json:"out_jobs"`
}

func (h *history) ofQueue(ctx context.Context, c *call, name string) error {
	points, step, err := c.inspector.QueueHistory(ctx, name, time.Duration(h.since))
	if err != nil {
		return err
	}
	if len(points) == 0 {
		return h.noQueue(ctx, c, name)
	}
	if c.json() {
		list := make([]queuePoint, len(points))
		for i, p := range points {
			list[i] = queuePoint{p.At.UTC(), int(step.Seconds()), p.Size, p.Age, p.In, p.Out}
		}
		return c.print(list)
	}
	return h.drawQueue(c, name, points, step, time.Now())
}

// noQueue is the error for a queue without points.
func (h *history) noQueue(ctx context.Context, c *call, name string) error {
	names, err := c.inspector.QueuesWithHistory(ctx)
	if err != nil {
		return err
	}
	if longer := h.longer(); longer != "" {
		older, _, err := c.inspector.QueueHistory(ctx, name, inspect.MaxHistory)
		if err != nil {
			return err
		}
		if len(older) > 0 {
			return fmt.Errorf("queue %s: no worker that serves it wrote in the last %s: its last "+
				"point is of %s; try --since %s", name, h.since.String(),
				moment(older[len(older)-1].At), longer)
		}
	}
	return fmt.Errorf("queue %s has no history: it is written by a Kyu worker that serves the "+
		"queue, from its start on; %s", name, others("queues", names))
}

// longer is a longer time to ask for, or "".
func (h *history) longer() string {
	switch d := time.Duration(h.since); {
	case d < 7*24*time.Hour:
		return "7d"
	case d < inspect.MaxHistory:
		return "400d"
	}
	return ""
}

// others says which names have a history.
func others(kind string, names []string) string {
	if len(names) == 0 {
		return "there is no history of any of the " + kind
	}
	more := ""
	if n := len(names) - 20; n > 0 {
		names, more = names[:20], fmt.Sprintf(" and %d more", n)
	}
	return "there is one of " + strings.Join(names, ", ") + more
}

// column is what the points of a column of a chart have together.
type column struct {
	points     int
	size       int64
	age        float64
	in, out    int64
	inSeconds  float64 // for which in counts
	outSeconds float64
}

func (h *history) drawQueue(c *call, name string, points []inspect.Point, step time.Duration,
	now time.Time) error {
	ch, n := h.chart(c, step, now)
	columns := make([]column, ch.places(n))
	for i, p := range points {
		at := ch.columnOf(p.At, step, n)
		lasts := min(step, max(now.Sub(p.At), 10*time.Second)).Seconds() // its slot may not be over
		col := &columns[at]
		col.points++
		col.size, col.age = max(col.size, p.Size), max(col.age, p.Age)
		col.out, col.outSeconds = col.out+p.Out, col.outSeconds+lasts
		if i > 0 {
			lasts += p.At.Sub(points[i-1].At).Seconds() - step.Seconds()
		}
		col.in, col.inSeconds = col.in+p.In, col.inSeconds+lasts
	}
	values := func(of func(*column) float64) (list []float64) {
		for i := range columns {
			v := math.NaN()
			if columns[i].points > 0 {
				v = of(&columns[i])
			}
			list = append(list, v)
		}
		return list
	}
	in := values(func(c *column) float64 { return float64(c.in) / c.inSeconds })
	out := values(func(c *column) float64 { return float64(c.out) / c.outSeconds })
	last := points[len(points)-1]
	ch.series = []series{
		{"jobs that wait", values(func(c *column) float64 { return float64(c.size) }), count,
			"now " + grouped(last.Size)},
		{"age of the oldest", values(func(c *column) float64 { return c.age }), age,
			"now " + age(last.Age)},
		{"in, jobs/s", in, perSecond, "now " + perSecond(newest(in))},
		{"out, jobs/s", out, perSecond, "now " + perSecond(newest(out))},
	}
	fmt.Fprintf(c.out, "%s, the last %s\n", printable(name), h.since.String())
	return ch.draw()
}

// chart makes a chart of the time before now, and gives its number of slots.
func (h *history) chart(c *call, step time.Duration, now time.Time) (ch *chart, slots int) {
	d := time.Duration(h.since)
	return &chart{out: c.out, columns: c.columns, from: now.Add(-d), to: now},
		int((d + step - 1) / step)
}

// columnOf is the column of a slot that begins at a time.
func (c *chart) columnOf(at time.Time, step time.Duration, slots int) int {
	ago := int(c.to.Truncate(step).Sub(at) / step)
	slot := max(0, min(slots-1, slots-1-ago))
	return slot * c.places(slots) / slots
}

// newest is the last value that there is.
func newest(values []float64) float64 {
	for i := len(values) - 1; i >= 0; i-- {
		if !math.IsNaN(values[i]) {
			return values[i]
		}
	}
	return 0
}

// count is a number of jobs at an axis, which has nine columns.
func count(n float64) string {
	if n >= 1e7 {
		return strconv.FormatFloat(n/1e6, 'f', 0, 64) + "M"
	}
	return grouped(int64(math.Round(n)))
}

// perSecond is a number of jobs a second.
func perSecond(n float64) string {
	switch {
	case n >= 100:
		return count(n)
	case n >= 1:
		return strconv.FormatFloat(n, 'f', 1, 64)
	case n == 0:
		return "0"
	case n < 0.001:
		return "<0.001"
	}
	return strconv.FormatFloat(n, 'f', 3, 64)
}
