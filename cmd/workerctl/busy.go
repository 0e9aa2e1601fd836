package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// busy is the command that lists the running jobs.
type busy struct {
	selection // only its filter
	limit     limit
	process   string
}

func (c *call) busyCommand() *cobra.Command {
	b := &busy{}
	cmd := c.spreading(once, "busy", "the jobs that run now", b.run)
	cmd.Long = "the jobs that run now, Ruby's too, the longest running first; with --process,\n" +
		"those of a process, of a host or with a tag"
	cmd.Example = "workerctl busy\nworkerctl busy --process web1 --filter class:Feed::*"
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if err := noWords(cmd, words); err != nil {
			return err
		}
		return checked(func([]string) error { return b.parse() })(cmd, words)
	}
	cmd.Flags().StringVar(&b.process, "process", "", "the processes that a `WORD` names: an "+
		"identity, a host or a tag")
	c.completesFlag(cmd, "process", processWords)
	b.filterFlag(cmd.Flags())
	b.limit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	return cmd
}

func (b *busy) run(ctx context.Context, c *call, _ []string) error {
	list, away, err := c.fleet.WorkInProgress(ctx)
	if err != nil {
		return err
	}
	if b.process != "" {
		processes, _, err := c.fleet.Processes(ctx)
		if err != nil {
			return err
		}
		if processes, err = pick(processes, []string{b.process}); err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(w inspect.FleetWork) bool {
			return !slices.ContainsFunc(processes, isProcess(w.Process))
		})
	}
	now := time.Now()
	list = slices.DeleteFunc(list, func(w inspect.FleetWork) bool {
		return !b.filter.Match(w.Payload, w.Job, now)
	})
	return c.without(away, atMost(c, b.limit, list, c.printRunning))
}

func (c *call) printRunning(list []inspect.FleetWork) error {
	if c.json() {
		return c.print(runningJobs(list))
	}
	t := c.table()
	c.rowOf(t, "SHARD", "PROCESS", "TID", "QUEUE", "CLASS", "JID", "RUNNING")
	for _, w := range list {
		r := newRow(w.Payload, w.Job, time.Time{})
		c.rowOf(t, w.Shard, w.Process, w.TID, w.Queue, r.Class, r.JID,
			age(time.Since(w.RunAt).Seconds()))
	}
	return t.Flush()
}

// runningJob is a running job with its payload, for programs.
type runningJob struct {
	inspect.FleetWork
	Job json.RawMessage `json:"job"`
}

func runningJobs(list []inspect.FleetWork) []runningJob {
	out := []runningJob{}
	for _, w := range list {
		out = append(out, runningJob{w, rawJSON(w.Payload)})
	}
	return out
}
