package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// set lists a sorted set, or changes it.
func (c *ctl) set(ctx context.Context, name string, set *inspect.JobSet, words []string) error {
	verb := "list"
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	ops := map[string]operation{"retry": set.Retry, "kill": set.Kill, "delete": set.Delete}
	switch {
	case verb == "list" && len(words) == 0:
		return c.list(ctx, set)
	case verb == "show" && len(words) == 1:
		return c.show(ctx, set, words[0])
	case verb == "reschedule" && len(words) > 0 && name != "dead":
		return c.reschedule(ctx, set, words)
	case verb == "kill" && name == "dead":
		return fmt.Errorf("%w: dead kill: they are dead already; delete removes them", errUsage)
	case ops[verb] == nil:
		return fmt.Errorf("%w: %s %s: want list, show JID, retry, kill, delete or reschedule",
			errUsage, name, verb)
	}
	return c.change(ctx, name, set, verb, ops[verb], words)
}

// operation changes entries of a set, and returns how many were still there.
type operation func(context.Context, ...queue.Entry) (int, error)

// change applies an operation to the jobs that are named, or to all.
func (c *ctl) change(ctx context.Context, name string, set *inspect.JobSet, verb string,
	op operation, jids []string) error {
	if c.all == (len(jids) > 0) {
		return fmt.Errorf("%w: %s %s: want JIDs, or --all", errUsage, name, verb)
	}
	if c.all {
		size, err := set.Size(ctx)
		if err != nil {
			return err
		}
		if err := c.confirm(fmt.Sprintf("%s all %d jobs of %s", strings.ToUpper(verb[:1])+verb[1:],
			size, name)); err != nil {
			return err
		}
		n, err := set.All(ctx, op)
		return c.done(err, fmt.Sprintf("%s: %d jobs", verb, n))
	}
	for _, jid := range jids {
		e, err := set.Find(ctx, jid)
		if err != nil {
			return err
		}
		n, err := op(ctx, e)
		if err == nil && n == 0 {
			err = fmt.Errorf("job %s: %w: it has just left %s", jid, queue.ErrNotFound, name)
		}
		if err := c.done(err, verb+" "+jid); err != nil {
			return err
		}
	}
	return nil
}

func (c *ctl) list(ctx context.Context, set *inspect.JobSet) error {
	page, err := set.Page(ctx, c.offset(), pageSize)
	if err != nil {
		return err
	}
	var list []row
	for _, e := range page {
		list = append(list, newRow(e.Raw, e.Job, e.At))
	}
	return c.jobs(list, "WHEN")
}

// show prints one job with all its fields.
func (c *ctl) show(ctx context.Context, set *inspect.JobSet, jid string) error {
	e, err := set.Find(ctx, jid)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(newRow(e.Raw, e.Job, e.At))
	}
	t := c.table()
	t.row("when", e.At.UTC().Format(time.RFC3339))
	for _, name := range e.Job.Fields() {
		if name != "error_backtrace" {
			t.row(name, e.Job.Field(name))
		}
	}
	t.Flush()
	for _, line := range e.Job.Backtrace() {
		fmt.Fprintln(c.out, "   ", printable(line))
	}
	return nil
}

func (c *ctl) reschedule(ctx context.Context, set *inspect.JobSet, jids []string) error {
	due, err := c.due()
	if err == nil && due.IsZero() {
		err = errors.New("want --in or --at")
	}
	if err != nil {
		return fmt.Errorf("%w: reschedule: %w", errUsage, err)
	}
	for _, jid := range jids {
		e, err := set.Find(ctx, jid)
		if err == nil {
			err = set.Reschedule(ctx, e, due)
		}
		if err := c.done(err, "reschedule "+jid); err != nil {
			return err
		}
	}
	return nil
}
