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

func (h *history) drawQueue(c *call, name string, points []inspect.Point, step time.Duration,
	now time.Time) error {
	ch, columns := h.chart(c, step, now)
	list := columns.Queue(points)
	values := func(of func(inspect.QueueColumn) float64) (values []float64) {
		for _, col := range list {
			v := math.NaN()
			if col.Known {
				v = of(col)
			}
			values = append(values, v)
		}
		return values
	}
	size := values(func(c inspect.QueueColumn) float64 { return float64(c.Size) })
	in := values(func(c inspect.QueueColumn) float64 { return c.In })
	out := values(func(c inspect.QueueColumn) float64 { return c.Out })
	last := points[len(points)-1]
	ch.series = []series{
		{"jobs that wait", size, count,
			"now " + grouped(last.Size)},
		{"age of the oldest", values(func(c inspect.QueueColumn) float64 { return c.Age }), age,
			"now " + age(last.Age)},
		{"in, jobs/s", in, perSecond, "now " + perSecond(newest(in))},
		{"out, jobs/s", out, perSecond, "now " + perSecond(newest(out))},
	}
	fmt.Fprintf(c.out, "%s, the last %s\n", printable(name), h.since.String())
	return ch.draw()
}

// chart makes a chart of the time before now, and its columns.
func (h *history) chart(c *call, step time.Duration, now time.Time) (*chart, inspect.Columns) {
	d := time.Duration(h.since)
	ch := &chart{out: c.out, columns: c.columns, from: now.Add(-d), to: now}
	return ch, inspect.NewColumns(now, d, step, ch.width())
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
