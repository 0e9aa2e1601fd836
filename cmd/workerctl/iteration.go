package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// iteration shows how far an iterable job is.
func (c *ctl) iteration(ctx context.Context, words []string) error {
	if len(words) != 1 {
		return fmt.Errorf("%w: iteration JID: want one job", errUsage)
	}
	it, found, err := c.store.Iteration(ctx, words[0])
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("job %s: %w: it has not begun, has ended, or is not iterable", words[0],
			queue.ErrNotFound)
	}
	if c.json {
		return c.print(it)
	}
	cancelled := ""
	if !it.Cancelled.IsZero() {
		cancelled = it.Cancelled.UTC().Format("2006-01-02 15:04:05")
	}
	t := c.table()
	t.row("RUNS", "TIME", "CURSOR", "CANCELLED")
	t.row(it.Executions, age(it.Runtime.Seconds()), short(string(it.Cursor), 80), cancelled)
	return t.Flush()
}

// cancel stops iterable jobs.
func (c *ctl) cancel(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("%w: cancel JID…: want jobs", errUsage)
	}
	for _, jid := range words {
		since, err := c.store.CancelIteration(ctx, jid)
		if err := c.done(err, "cancelled "+jid+" at "+since.UTC().Format(time.RFC3339)+
			": it stops within 5 s, or when it starts"); err != nil {
			return err
		}
	}
	return nil
}
