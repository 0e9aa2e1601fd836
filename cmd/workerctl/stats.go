package main

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type stats struct {
	days int
}

func (c *call) statsCommand() *cobra.Command {
	s := &stats{}
	cmd := c.spreading(once, "stats", "figures of the whole fleet", s.run)
	cmd.Long = "the figures of the whole fleet; with --days, of its last days too"
	cmd.Example = "workerctl stats --days 7"
	s.flags(cmd.Flags())
	c.watchable(cmd)
	return cmd
}

func (s *stats) flags(f *pflag.FlagSet) {
	f.IntVar(&s.days, "days", 0, "also the jobs processed, failed and expired on each of "+
		"the last `N` days")
}

func (s *stats) run(ctx context.Context, c *call, _ []string) error {
	st, err := c.fleet.Stats(ctx)
	if err != nil {
		return err
	}
	var history []inspect.Day
	if s.days > 0 {
		if history, _, err = c.fleet.History(ctx, s.days); err != nil {
			return err
		}
	}
	if err := s.print(c, st, history); err != nil {
		return err
	}
	return c.without(st.Away, nil)
}

// print prints the figures, and those of days.
func (s *stats) print(c *call, st inspect.FleetStats, history []inspect.Day) error {
	if c.json() {
		return c.print(struct {
			inspect.FleetStats
			History []inspect.Day `json:"history,omitempty"`
		}{st, history})
	}
	t := c.table()
	t.row("PROCESSED", "FAILED", "EXPIRED", "BUSY", "ENQUEUED", "RETRIES", "SCHEDULED", "DEAD",
		"PROCESSES", "DEFAULT LATENCY")
	t.row(st.Processed, st.Failed, st.Expired, st.Busy, st.Enqueued, st.Retries, st.Scheduled,
		st.Dead, st.Processes, age(st.DefaultLatency))
	if err := t.Flush(); err != nil || len(history) == 0 {
		return err
	}
	fmt.Fprintln(c.out)
	t = c.table()
	t.row("DAY", "PROCESSED", "FAILED", "EXPIRED")
	for _, d := range history {
		t.row(d.Date, d.Processed, d.Failed, d.Expired)
	}
	return t.Flush()
}
