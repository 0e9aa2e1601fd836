package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type metrics struct {
	limit limit
	since time.Duration
}

func (c *call) metricsCommand() *cobra.Command {
	m := &metrics{}
	cmd := c.spreading(metricsWay, "metrics [CLASS]", "runs, failures and times by class", m.run)
	cmd.Long = "runs, failures and times of all classes, or a histogram of the times that the\n" +
		"runs of one class took"
	cmd.Example = "workerctl metrics --since 8h\nworkerctl metrics ActivityPub::DeliveryWorker"
	cmd.Args = checked(m.check)
	c.completes(cmd, firstWord(classNames))
	m.flags(cmd.Flags())
	c.watchable(cmd)
	return cmd
}

func (m *metrics) flags(f *pflag.FlagSet) {
	f.DurationVar(&m.since, "since", time.Hour, "the last `DURATION`, up to 72h; the histogram "+
		"of a class up to 8h")
	m.limit.flags(f, 0)
}

func (m *metrics) check(words []string) error {
	limit := inspect.MaxMetrics
	if len(words) == 1 {
		limit = inspect.MaxHistogram
	}
	switch {
	case len(words) > 1:
		return errors.New("want one class at most")
	case m.since <= 0 || m.since > limit:
		return fmt.Errorf("--since %v: want more than 0 and at most %v", m.since, limit)
	}
	return nil
}

func (m *metrics) run(ctx context.Context, c *call, words []string) error {
	if len(words) == 1 {
		return m.histogram(ctx, c, words[0])
	}
	return m.classes(ctx, c)
}

func (m *metrics) classes(ctx context.Context, c *call) error {
	list, away, err := c.fleet.Metrics(ctx, m.since, time.Now())
	if err != nil {
		return err
	}
	return c.without(away, atMost(c, m.limit, list, c.printClasses))
}

// metricsWay is the way of the command: sums of all classes, and the times of one in each shard.
func metricsWay(ctx context.Context, c *call, run runner, words []string) error {
	if len(words) == 1 {
		return each(ctx, c, run, words)
	}
	return once(ctx, c, run, words)
}

func (c *call) printClasses(list []inspect.ClassTotals) error {
	if c.json() {
		return c.print(append([]inspect.ClassTotals{}, list...))
	}
	t := c.table()
	t.row("CLASS", "RUNS", "FAILED", "TIME", "MEAN")
	for _, class := range list {
		mean := ""
		if n := class.Processed - class.Failed; n > 0 {
			mean = age(float64(class.Millis) / 1000 / float64(n))
		}
		t.row(class.Class, class.Processed, class.Failed, age(float64(class.Millis)/1000), mean)
	}
	return t.Flush()
}

func (m *metrics) histogram(ctx context.Context, c *call, class string) error {
	counts, err := c.inspector.Histogram(ctx, class, m.since, time.Now())
	if err != nil {
		return err
	}
	if slices.Max(counts) == 0 {
		if err := c.knownClass(ctx, class); err != nil {
			return err
		}
	}
	bounds := queue.HistogramBounds()
	if c.json() {
		return c.print(map[string]any{"class": class, "below_ms": bounds, "counts": counts})
	}
	most := int64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	t := c.table()
	t.row("BELOW", "RUNS", "")
	for i, n := range counts {
		below := "longer"
		if i < len(bounds) {
			below = age(float64(bounds[i]) / 1000)
		}
		if n > 0 {
			t.row(below, n, strings.Repeat("█", int(1+39*n/most)))
		}
	}
	return t.Flush()
}
