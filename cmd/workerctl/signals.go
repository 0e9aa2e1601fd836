package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// processSignal is one of the commands quiet, stop and dump.
type processSignal struct {
	question
	all  bool
	name string // as Sidekiq's processes know it
}

func (c *call) quietCommand() *cobra.Command {
	return c.signalCommand("quiet", "TSTP", "tell processes to take no more jobs")
}

func (c *call) stopCommand() *cobra.Command {
	return c.signalCommand("stop", "TERM", "tell processes to stop")
}

func (c *call) dumpCommand() *cobra.Command {
	return c.signalCommand("dump", "TTIN", "tell processes to write all stacks to their logs")
}

func (c *call) signalCommand(name, signalName, summary string) *cobra.Command {
	s := &processSignal{name: signalName}
	cmd := c.command(name+" IDENTITY…", summary, s.run)
	cmd.Long = summary + ":\nthose that are named, or --all that are alive; " +
		"`workerctl processes` lists their identities"
	cmd.Example = "workerctl " + name + " web1:4711:5f0c9a\nworkerctl " + name + " --all"
	cmd.Args = checked(s.check)
	c.completes(cmd, identities)
	s.flags(cmd.Flags())
	return cmd
}

// asks reports whether the command asks before it signals all processes.
func (s *processSignal) asks() bool { return s.name == "TERM" }

func (s *processSignal) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.all, "all", false, "all processes")
	if s.asks() {
		s.question.flags(f)
	}
}

func (s *processSignal) check(words []string) error {
	if s.all == (len(words) > 0) {
		return errors.New("want identities (`workerctl processes` lists them), or --all")
	}
	return nil
}

func (s *processSignal) run(ctx context.Context, c *call, words []string) error {
	if s.all {
		var err error
		if words, err = s.everyProcess(ctx, c); err != nil {
			return err
		}
	}
	for _, id := range words {
		if err := c.acted(c.inspector.Signal(ctx, id, s.name), s.name+" → "+id); err != nil {
			return err
		}
	}
	return nil
}

// everyProcess returns the identities of the live processes that obey signals, after a question if
// they are to stop. It names the others.
func (s *processSignal) everyProcess(ctx context.Context, c *call) ([]string, error) {
	list, err := c.inspector.Processes(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no process is alive")
	}
	list = slices.DeleteFunc(list, func(p inspect.Process) bool {
		if p.Embedded {
			c.done(nil, fmt.Sprintf("left out: %s: %v", p.Identity, inspect.ErrEmbedded))
		}
		return p.Embedded
	})
	if len(list) == 0 {
		return nil, errors.New("no live process obeys signals")
	}
	if s.asks() {
		if err := s.ask(c, fmt.Sprintf("Stop all %d processes", len(list))); err != nil {
			return nil, err
		}
	}
	var identities []string
	for _, p := range list {
		identities = append(identities, p.Identity)
	}
	return identities, nil
}
