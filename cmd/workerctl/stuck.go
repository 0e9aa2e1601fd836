package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// stuck is the command that looks for what does not go on.
type stuck struct {
	longer time.Duration
	locks  bool
}

func (c *call) stuckCommand() *cobra.Command {
	s := &stuck{}
	cmd := c.spreading(once, "stuck", "whether anything is stuck, and what to do about it", s.run)
	cmd.Long = "whether anything is stuck: processes that hang, jobs that run for too long, and\n" +
		"jobs that nobody takes: in queues that are paused or not served, in flight of dead\n" +
		"workers, due but not moved, held. The exit code is 1 if something is, 0 if nothing is"
	cmd.Example = "workerctl stuck\nworkerctl stuck --longer-than 10m --locks"
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if s.longer <= 0 {
			return usageError{"stuck", errors.New("--longer-than: want more than 0")}
		}
		return noWords(cmd, words)
	}
	s.flags(cmd.Flags())
	c.watchable(cmd)
	return cmd
}

func (s *stuck) flags(f *pflag.FlagSet) {
	f.DurationVar(&s.longer, "longer-than", inspect.LongRun, "a job that runs for longer than "+
		"`DURATION` is stuck")
	f.BoolVar(&s.locks, "locks", false, "also look for locks whose jobs are nowhere; this reads "+
		"all jobs, twice")
}

func (s *stuck) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.fleet.Stuck(ctx, s.longer)
	if err != nil {
		return err
	}
	if s.locks {
		orphans, err := orphansOf(ctx, c)
		if err != nil {
			return err
		}
		list = append(list, orphans...)
	}
	if err := c.printFindings(list); err != nil {
		return err
	}
	if len(list) > 0 && c.every == 0 { // --watch goes on
		return exitCode(1)
	}
	return nil
}

// orphansOf are the locks of all shards whose jobs are nowhere. The shards that are away are among
// what is stuck already.
func orphansOf(ctx context.Context, c *call) (list []inspect.FleetFinding, err error) {
	all, _, err := inspect.Each(ctx, c.fleet, func(ctx context.Context,
		m *inspect.Member) ([]unique.Held, error) {
		return unique.NewLocks(m.Store).Orphans(ctx)
	})
	for _, of := range all {
		for _, lock := range of.Value {
			found := inspect.FleetFinding{Finding: orphan(lock)}
			if c.several() {
				found.Shard, found.Where = of.Member.Name, "shard "+of.Member.Name+", "+found.Where
			}
			list = append(list, found)
		}
	}
	return list, err
}

// orphan is the finding of a lock whose jobs are nowhere.
func orphan(lock unique.Held) inspect.Finding {
	return inspect.Finding{What: "job " + lock.Holders[0].JID + " holds it, and is nowhere",
		Where: "lock " + lock.Digest, Since: lock.Holders[0].Since,
		Do: "workerctl locks delete " + lock.Digest}
}

// printFindings prints what is stuck, each with what to do about it, which is not cut.
func (c *call) printFindings(list []inspect.FleetFinding) error {
	if c.json() {
		return c.print(append([]inspect.FleetFinding{}, list...))
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(c.out, "nothing is stuck")
		return err
	}
	t := c.uncut()
	for _, f := range list {
		since := ""
		if !f.Since.IsZero() {
			since = ", since " + f.Since.Local().Format(timeLayout)
		}
		t.row(f.Where, f.What+since)
		t.row("", "→ "+f.Do)
	}
	return t.Flush()
}
