package main

import (
	"context"
	"errors"
	"time"

	"github.com/kyujobs/kyu/cmd/workerctl/top"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// liveTop is the command top.
type liveTop struct {
	every    seconds
	readOnly bool
}

func (c *call) topCommand() *cobra.Command {
	l := &liveTop{every: 1}
	cmd := c.local("top", "the queues, jobs and processes, live in the terminal", l.run)
	cmd.Long = "the fleet, queues, running jobs, sets of jobs and processes, live in the\n" +
		"terminal; retries, kills and deletes jobs, pauses queues, quiets and stops processes.\n" +
		"? shows the keys. Redis gets at most 20 commands a second on average"
	cmd.Example = "workerctl top\nworkerctl top --every 5 --read-only"
	f := cmd.Flags()
	f.Var(&l.every, "every", "look every so many `SECONDS`, as far as 20 commands a second allow")
	f.BoolVar(&l.readOnly, "read-only", false, "change nothing")
	return cmd
}

// errNoTerminal is the error for a call without a terminal.
var errNoTerminal = errors.New("it needs a terminal for its keys and its screen, and TERM must " +
	"not be dumb: `workerctl queues --watch` shows the queues anywhere")

func (l *liveTop) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.shardsFromEnv()
	if err != nil {
		return usageError{"", err}
	}
	if name, _ := c.env.Get("TERM"); name == "dumb" || name == "" || !isTerminal(c.in) ||
		!isTerminal(c.out) {
		return errNoTerminal
	}
	noColour, _ := c.env.Get("NO_COLOR")
	every := time.Duration(float64(l.every) * float64(time.Second))
	return top.Run(ctx, top.Options{Every: every, ReadOnly: l.readOnly, Colour: noColour == "",
		In: c.in, Out: c.out, Connect: func(ctx context.Context) (top.Connection, error) {
			if err := c.openShards(ctx, list); err != nil {
				return top.Connection{}, err
			}
			person := inspect.Act{By: c.person(), Host: hostname()}
			record := func(command, what string) error { return c.record("top "+command, what) }
			if c.several() {
				return top.Connection{Source: top.NewFleetSource(c.fleet, c.explainIn),
					Acts: top.NewFleetActs(c.fleet, person, record), Close: c.close}, nil
			}
			return top.Connection{Source: top.NewSource(c.store, c.inspector, c.explain),
				Acts:  top.NewActs(c.store, c.inspector, person, record),
				Close: c.close}, nil
		}})
}
