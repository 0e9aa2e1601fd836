package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// classes is the command that lists the classes of jobs.
type classes struct {
	limit limit
	since time.Duration
}

func (c *call) classesCommand() *cobra.Command {
	k := &classes{}
	cmd := c.spreading(once, "classes", "which classes take the threads, now and lately", k.run)
	cmd.Long = "which classes take the threads, now and lately: the share of each class in the\n" +
		"time of all threads, the threads that run it now, its longest running job, its\n" +
		"runs and failures. The time of runs that failed is not known"
	cmd.Example = "workerctl classes\nworkerctl classes --since 10m --limit 5"
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if k.since <= 0 || k.since > inspect.MaxMetrics {
			return usageError{"classes", fmt.Errorf("--since %v: want more than 0 and at most %v",
				k.since, inspect.MaxMetrics)}
		}
		return noWords(cmd, words)
	}
	cmd.Flags().DurationVar(&k.since, "since", time.Hour, "the last `DURATION`, up to 72h")
	k.limit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	return cmd
}

func (k *classes) run(ctx context.Context, c *call, _ []string) error {
	list, away, err := c.fleet.Classes(ctx, k.since)
	if err != nil {
		return err
	}
	return c.without(away, atMost(c, k.limit, list, c.printClassStatus))
}

func (c *call) printClassStatus(list []inspect.ClassStatus) error {
	if c.json() {
		return c.print(append([]inspect.ClassStatus{}, list...))
	}
	t := c.table()
	t.row("CLASS", "SHARE", "THREADS NOW", "OLDEST NOW", "JID", "RUNS", "FAILED", "FAILED %",
		"MEAN")
	for _, k := range list {
		oldest, failed, mean := "", "", ""
		if !k.Oldest.IsZero() {
			oldest = age(time.Since(k.Oldest).Seconds())
		}
		if k.Runs > 0 {
			failed = percent(float64(k.Failures) / float64(k.Runs))
		}
		if k.Mean > 0 {
			mean = age(k.Mean)
		}
		t.row(k.Class, percent(k.Share), fmt.Sprintf("%d of %d", k.Threads, k.AllThreads), oldest,
			k.OldestJID, k.Runs, k.Failures, failed, mean)
	}
	return t.Flush()
}

// percent is a share of 1 in whole percent. A share that is small is not nothing.
func percent(share float64) string {
	if share > 0 && share < 0.01 {
		return "<1%"
	}
	return fmt.Sprintf("%d%%", int(math.Round(share*100)))
}
