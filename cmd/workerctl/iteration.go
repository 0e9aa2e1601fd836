package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
)

type iteration struct{}

func (c *call) iterationCommand() *cobra.Command {
	i := &iteration{}
	cmd := c.spreading(one, "iteration JID", "how far an iterable job is", i.run)
	cmd.Long = "how far an iterable job is: its runs, its time and its cursor"
	cmd.Example = "workerctl iteration " + sampleJID
	cmd.Args = checked(i.check)
	c.completes(cmd, firstWord(runningJIDs))
	c.watchable(cmd)
	return cmd
}

func (i *iteration) check(words []string) error {
	if len(words) != 1 {
		return errors.New("want one job")
	}
	return nil
}

func (i *iteration) run(ctx context.Context, c *call, words []string) error {
	it, found, err := c.store.Iteration(ctx, words[0])
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("job %s: %w: it has not begun, has ended, or is not iterable", words[0],
			queue.ErrNotFound)
	}
	if c.json() {
		return c.print(struct {
			queue.Iteration
			Runtime float64 `json:"runtime_seconds"`
		}{it, it.Runtime.Seconds()})
	}
	cancelled := ""
	if !it.Cancelled.IsZero() {
		cancelled = moment(it.Cancelled)
	}
	t := c.table()
	t.row("RUNS", "TIME", "CURSOR", "CANCELLED")
	t.row(it.Executions, age(it.Runtime.Seconds()), string(it.Cursor), cancelled)
	return t.Flush()
}

// cancel is the command that stops iterable jobs.
type cancel struct{ force bool }

func (c *call) cancelCommand() *cobra.Command {
	k := &cancel{}
	cmd := c.spreading(perWord(one), "cancel JID…", "stop iterable jobs between two steps", k.run)
	cmd.Long = "stop iterable jobs, Ruby's too, between two steps. To find a job that has not\n" +
		"begun, the command reads all jobs"
	cmd.Example = "workerctl cancel " + sampleJID
	cmd.Args = checked(checkCancel)
	cmd.Flags().BoolVar(&k.force, "force", false, "also jobs that are nowhere; they are not "+
		"looked for")
	c.completes(cmd, runningJIDs)
	return cmd
}

func checkCancel(words []string) error {
	if len(words) == 0 {
		return errors.New("want jobs")
	}
	return nil
}

func (k *cancel) run(ctx context.Context, c *call, words []string) error {
	for _, jid := range words {
		if k.force {
			break
		}
		if err := c.knownJob(ctx, jid); err != nil {
			return err
		}
	}
	for _, jid := range words {
		since, err := c.store.CancelIteration(ctx, jid)
		if err := c.acted(err, "cancelled "+jid+" at "+since.UTC().Format(time.RFC3339)+
			": it stops within 5 s, or when it starts"); err != nil {
			return err
		}
	}
	return nil
}
