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
	cmd := c.spreading(processesWay(p), "processes", "the live processes, Ruby's too", p.run)
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
	list, away, err := c.fleet.Processes(ctx)
	if err != nil {
		return err
	}
	return c.without(away, atMost(c, p.limit, list, c.printProcesses))
}

// processesWay is the way of the command: the processes are one list, and each shard is cleaned.
func processesWay(p *processes) spread {
	return func(ctx context.Context, c *call, run runner, words []string) error {
		if p.clean {
			return each(ctx, c, run, words)
		}
		return run(ctx, c, words)
	}
}

func (c *call) printProcesses(list []inspect.FleetProcess) error {
	if c.json() {
		return c.print(append([]inspect.FleetProcess{}, list...))
	}
	t := c.table()
	titles := []any{"IDENTITY", "TAG", "BUSY", "THREADS", "QUEUES", "STATE", "RSS", "UP", "VERSION"}
	if c.several() {
		titles = append(titles, "SHARDS")
	}
	t.row(titles...)
	for _, p := range list {
		state := ""
		if p.Quiet {
			state = "quiet"
		}
		cells := []any{p.Identity, p.Tag, p.Busy, p.Concurrency, strings.Join(p.Queues, ","), state,
			fmt.Sprintf("%d MB", p.RSS/1024), age(time.Since(p.StartedAt).Seconds()), p.Version}
		if c.several() {
			cells = append(cells, shardsOf(p))
		}
		t.row(cells...)
	}
	return t.Flush()
}

// shardsOf says how many jobs a process runs of each shard, and in which it is missing.
func shardsOf(p inspect.FleetProcess) string {
	var words []string
	for _, r := range p.Records {
		word := fmt.Sprintf("%s=%d", r.Shard, r.Busy)
		if r.Quiet && !p.Quiet {
			word += " (quiet)"
		}
		words = append(words, word)
	}
	for _, name := range p.Missing {
		words = append(words, "missing in "+name)
	}
	return strings.Join(words, " ")
}

// processes are those of the shard that is asked.
func (c *call) processes(ctx context.Context) (list []inspect.FleetProcess, err error) {
	found, err := c.inspector.Processes(ctx)
	for _, p := range found {
		list = append(list, inspect.FleetProcess{Process: p})
	}
	return list, err
}
