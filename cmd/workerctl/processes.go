package main

import (
	"context"
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
