package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// runs is the command that lists the last runs of threads.
type runs struct {
	limit limit
}

func (c *call) runsCommand() *cobra.Command {
	r := &runs{}
	cmd := c.command("runs [PROCESS]", "what the threads ran lately", r.run)
	cmd.Long = "what the threads ran lately, and run now, the latest first: a process keeps its\n" +
		"last 1,000 runs, and tells them if it is asked. PROCESS is an identity, a host or\n" +
		"a tag. Ruby's Sidekiq keeps no runs"
	cmd.Example = "workerctl runs\nworkerctl runs web1 --limit 100"
	cmd.Args = checked(func(words []string) error {
		if len(words) > 1 {
			return errors.New("want one PROCESS, or none for all")
		}
		return nil
	})
	c.completes(cmd, processWords)
	r.limit.flags(cmd.Flags(), 25)
	c.watchable(cmd)
	return cmd
}

func (r *runs) run(ctx context.Context, c *call, words []string) error {
	list, err := c.processes(ctx)
	if err == nil && len(words) > 0 {
		list, err = pick(list, words)
	}
	if err != nil {
		return err
	}
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.Identity
	}
	told, err := c.inspector.Runs(ctx, inspect.RunsWait, ids...)
	if err != nil {
		return err
	}
	all := []inspect.ThreadRun{}
	for _, p := range told {
		if text := untold(p.State); text != "" {
			fmt.Fprintf(c.errOut, "%s: %s\n", p.Process, text)
		}
		all = append(all, p.Runs...)
	}
	slices.SortStableFunc(all, func(a, b inspect.ThreadRun) int {
		return b.Started.Compare(a.Started)
	})
	return atMost(c, r.limit, all, c.printRuns)
}

// untold says why a process has told no runs, or "".
func untold(state inspect.Telling) string {
	switch state {
	case inspect.Ruby:
		return "Ruby's Sidekiq keeps no runs"
	case inspect.Silent:
		return fmt.Sprintf("no answer within %v: it hangs, or is older than this command",
			inspect.RunsWait)
	}
	return ""
}

func (c *call) printRuns(list []inspect.ThreadRun) error {
	if c.json() {
		return c.print(append([]inspect.ThreadRun{}, list...))
	}
	t := c.table()
	t.row("PROCESS", "TID", "QUEUE", "CLASS", "JID", "STARTED", "TOOK", "OUTCOME")
	for _, r := range list {
		t.row(r.Process, r.TID, r.Queue, r.Class, r.JID, moment(r.Started), took(r.Seconds),
			r.Outcome)
	}
	return t.Flush()
}

// took is how long a run took. Many take less than a millisecond.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond / 10).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
