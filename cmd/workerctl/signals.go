package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// processSignal is one of the commands quiet, stop and dump.
type processSignal struct {
	question
	all     bool
	name    string // as Sidekiq's processes know it
	wait    bool
	timeout time.Duration // of wait
}

func (c *call) quietCommand() *cobra.Command {
	s := &processSignal{name: "TSTP"}
	cmd := c.signalCommand("quiet", "tell processes to take no more jobs", s)
	cmd.Example += "\nworkerctl quiet web1 --wait"
	f := cmd.Flags()
	f.BoolVar(&s.wait, "wait", false, "wait until no thread of these processes is busy")
	f.DurationVar(&s.timeout, "timeout", 10*time.Minute, "with --wait: fail after `DURATION`")
	return cmd
}

func (c *call) stopCommand() *cobra.Command {
	return c.signalCommand("stop", "tell processes to stop", &processSignal{name: "TERM"})
}

func (c *call) dumpCommand() *cobra.Command {
	return c.signalCommand("dump", "tell processes to write all stacks to their logs",
		&processSignal{name: "TTIN"})
}

func (c *call) signalCommand(name, summary string, s *processSignal) *cobra.Command {
	cmd := c.spreading(once, name+" IDENTITY|HOST|TAG…", summary, s.run)
	cmd.Long = summary + ":\nthose that are named, all of a host or with a tag, or --all that " +
		"are alive;\n`workerctl processes` lists them. A word that is a host and also a tag " +
		"is refused:\nwrite host:NAME or tag:NAME"
	cmd.Example = "workerctl " + name + " web1:4711:5f0c9a\nworkerctl " + name + " web1\n" +
		"workerctl " + name + " --all"
	cmd.Args = checked(s.check)
	c.completes(cmd, processWords)
	s.flags(cmd.Flags())
	return cmd
}

// asks reports whether the command asks before it signals several processes.
func (s *processSignal) asks() bool { return s.name == "TERM" }

func (s *processSignal) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.all, "all", false, "all processes")
	if s.asks() {
		s.question.flags(f)
	}
}

func (s *processSignal) check(words []string) error {
	switch {
	case s.all == (len(words) > 0):
		return errors.New("want identities, hosts or tags (`workerctl processes` lists them), or " +
			"--all")
	case s.wait && s.timeout <= 0:
		return errors.New("--timeout: want more than 0")
	}
	return nil
}

func (s *processSignal) run(ctx context.Context, c *call, words []string) error {
	list, away, err := c.fleet.Processes(ctx)
	if err != nil {
		return err
	}
	list, err = s.choose(c, list, words)
	if err != nil {
		return c.without(away, err)
	}
	for _, p := range list {
		_, err := c.fleet.Signal(ctx, p, s.name)
		if err := c.acted(err, s.name+" → "+p.Identity); err != nil {
			return err
		}
	}
	if s.wait {
		if err := c.drain(ctx, list, s.timeout); err != nil {
			return err
		}
	}
	return c.without(away, nil)
}

// choose returns the processes that are meant and that obey signals, and names the others. It asks
// if several are to stop that are not named one by one.
func (s *processSignal) choose(c *call, list []inspect.FleetProcess,
	words []string) (chosen []inspect.FleetProcess, err error) {
	if chosen = list; !s.all {
		if chosen, err = pick(list, words); err != nil {
			return nil, err
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no process is alive")
	}
	var obedient []inspect.FleetProcess
	for _, p := range chosen {
		switch {
		case !p.Embedded:
			obedient = append(obedient, p)
		case slices.Contains(words, p.Identity):
			return nil, fmt.Errorf("process %s: %w", p.Identity, inspect.ErrEmbedded)
		default:
			c.done(nil, fmt.Sprintf("left out: %s: %v", p.Identity, inspect.ErrEmbedded))
		}
	}
	if len(obedient) == 0 {
		return nil, errors.New("no live process obeys signals")
	}
	if !s.asks() || !s.all && len(obedient) <= len(words) {
		return obedient, nil
	}
	text := fmt.Sprintf("Stop all %d processes", len(obedient))
	if !s.all {
		text = fmt.Sprintf("Stop %d processes: %s", len(obedient), identitiesOf(obedient))
	}
	return obedient, s.ask(c, text)
}
