package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func (c *ctl) metrics(ctx context.Context, words []string) error {
	limit := inspect.MaxMetrics
	if len(words) == 1 {
		limit = inspect.MaxHistogram
	}
	switch {
	case len(words) > 1:
		return fmt.Errorf("%w: metrics [CLASS]: want one class at most", errUsage)
	case c.since <= 0 || c.since > limit:
		return fmt.Errorf("%w: --since %v: want more than 0 and at most %v", errUsage,
			c.since, limit)
	case len(words) == 1:
		return c.histogram(ctx, words[0])
	}
	return c.topClasses(ctx)
}

func (c *ctl) topClasses(ctx context.Context) error {
	list, err := inspect.New(c.store).Metrics(ctx, c.since, time.Now())
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]inspect.ClassTotals{}, list...))
	}
	t := c.table()
	t.row("CLASS", "RUNS", "FAILED", "TIME", "MEAN")
	for _, m := range list {
		mean := ""
		if n := m.Processed - m.Failed; n > 0 {
			mean = age(float64(m.Millis) / 1000 / float64(n))
		}
		t.row(m.Class, m.Processed, m.Failed, age(float64(m.Millis)/1000), mean)
	}
	return t.Flush()
}

func (c *ctl) histogram(ctx context.Context, class string) error {
	counts, err := inspect.New(c.store).Histogram(ctx, class, c.since, time.Now())
	if err != nil {
		return err
	}
	bounds := queue.HistogramBounds()
	if c.json {
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

// deploy marks a deploy.
func (c *ctl) deploy(ctx context.Context, words []string) error {
	label := strings.Join(words, " ")
	if label == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%h %s").Output()
		if err != nil {
			return errors.New("deploy: there is no git commit here to take the label from: give " +
				"one, such as `workerctl deploy v1.2`")
		}
		label = strings.TrimSpace(string(out))
	}
	made, err := inspect.New(c.store).MarkDeploy(ctx, label, time.Now())
	if err == nil && !made {
		return c.done(nil, "marked already within the last minute: "+label)
	}
	return c.done(err, "marked: "+label)
}

func (c *ctl) deploys(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: deploys takes no arguments", errUsage)
	}
	days := c.days
	if days == 0 {
		days = 7
	}
	list, err := inspect.New(c.store).Marks(ctx, days, time.Now())
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]inspect.Mark{}, list...))
	}
	t := c.table()
	t.row("WHEN", "LABEL")
	for _, m := range list {
		t.row(m.At.Format("2006-01-02 15:04"), m.Label)
	}
	return t.Flush()
}
