package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type processes struct {
	limit limit
	clean bool
}

func (c *call) processesCommand() *cobra.Command {
	p := &processes{}
	cmd := c.command("processes", "the live processes, Ruby's too", p.run)
	cmd.Example = "workerctl processes"
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if c.every > 0 && p.clean {
			return usageError{"processes", errWatch}
		}
		return noWords(cmd, words)
	}
	p.flags(cmd.Flags())
	c.watchable(cmd)
	return cmd
}

func (p *processes) flags(f *pflag.FlagSet) {
	f.BoolVar(&p.clean, "clean", false, "remove the processes whose heartbeats have stopped "+
		"from the list")
	p.limit.flags(f, 0)
}

func (p *processes) run(ctx context.Context, c *call, _ []string) error {
	if p.clean {
		n, err := c.store.CleanProcesses(ctx)
		return c.acted(err, fmt.Sprintf("%d dead processes were removed from the list (the fleet "+
			"looks for them once a minute at most)", n))
	}
	list, err := c.inspector.Processes(ctx)
	if err != nil {
		return err
	}
	return atMost(c, p.limit, list, c.printProcesses)
}

func (c *call) printProcesses(list []inspect.Process) error {
	if c.json() {
		return c.print(append([]inspect.Process{}, list...))
	}
	t := c.table()
	t.row("IDENTITY", "TAG", "BUSY", "THREADS", "QUEUES", "STATE", "RSS", "UP", "VERSION")
	for _, p := range list {
		state := ""
		if p.Quiet {
			state = "quiet"
		}
		t.row(p.Identity, p.Tag, p.Busy, p.Concurrency, strings.Join(p.Queues, ","), state,
			fmt.Sprintf("%d MB", p.RSS/1024), age(time.Since(p.StartedAt).Seconds()), p.Version)
	}
	return t.Flush()
}

type busy struct{ limit limit }

func (c *call) busyCommand() *cobra.Command {
	b := &busy{}
	cmd := c.command("busy", "the jobs that run now", b.run)
	cmd.Long = "the jobs that run now, Ruby's too"
	cmd.Example = "workerctl busy"
	b.limit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	return cmd
}

func (b *busy) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.inspector.WorkInProgress(ctx)
	if err != nil {
		return err
	}
	return atMost(c, b.limit, list, c.printRunning)
}

func (c *call) printRunning(list []inspect.Work) error {
	if c.json() {
		return c.print(runningJobs(list))
	}
	t := c.table()
	t.row("PROCESS", "TID", "QUEUE", "CLASS", "JID", "RUNNING")
	for _, w := range list {
		r := newRow(w.Payload, w.Job, time.Time{})
		t.row(w.Process, w.TID, w.Queue, r.Class, r.JID, age(time.Since(w.RunAt).Seconds()))
	}
	return t.Flush()
}

// runningJob is a running job with its payload, for programs.
type runningJob struct {
	inspect.Work
	Job json.RawMessage `json:"job"`
}

func runningJobs(list []inspect.Work) []runningJob {
	out := []runningJob{}
	for _, w := range list {
		out = append(out, runningJob{w, rawJSON(w.Payload)})
	}
	return out
}
