package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// classPoint is a point of a class for programs.
type classPoint struct {
	At        time.Time `json:"at"`
	Step      int       `json:"step_seconds"`
	Processed int64     `json:"processed"`
	Failed    int64     `json:"failed"`
	Millis    int64     `json:"run_ms"`
}

func (h *history) ofClass(ctx context.Context, c *call) error {
	points, step, err := c.inspector.ClassHistory(ctx, h.class, time.Duration(h.since))
	if err != nil {
		return err
	}
	if len(points) == 0 {
		return h.noClass(ctx, c)
	}
	if c.json() {
		list := make([]classPoint, len(points))
		for i, p := range points {
			list[i] = classPoint{p.At.UTC(), int(step.Seconds()), p.Processed, p.Failed, p.Millis}
		}
		return c.print(list)
	}
	return h.drawClass(c, points, step, time.Now())
}

// noClass is the error for a class without points.
func (h *history) noClass(ctx context.Context, c *call) error {
	names, err := c.inspector.ClassesWithHistory(ctx)
	if err != nil {
		return err
	}
	hint := ""
	if longer := h.longer(); longer != "" {
		hint = ", try --since " + longer
	}
	return fmt.Errorf("class %s: no worker ran it in the last %s%s; %s", h.class,
		h.since.String(), hint, others("classes", names))
}

func (h *history) drawClass(c *call, points []inspect.ClassPoint, step time.Duration,
	now time.Time) error {
	ch, columns := h.chart(c, step, now)
	var runs, failures, times []float64
	for _, col := range columns.Class(points) {
		runs, failures = append(runs, col.Runs), append(failures, col.Failures)
		times = append(times, col.Mean)
	}
	total := inspect.ClassPoint{}
	for _, p := range points {
		total.Processed += p.Processed
		total.Failed += p.Failed
		total.Millis += p.Millis
	}
	mean := "none"
	if good := total.Processed - total.Failed; good > 0 {
		mean = "mean " + age(float64(total.Millis)/1000/float64(good))
	}
	ch.series = []series{
		{"runs/s", runs, perSecond, grouped(total.Processed) + " in all"},
		{"failures/s", failures, perSecond, grouped(total.Failed) + " in all"},
		{"run time of successes", times, age, mean},
	}
	fmt.Fprintf(c.out, "%s, the last %s\n", printable(h.class), h.since.String())
	return ch.draw()
}
