package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// jobSet is one of the commands retries, scheduled and dead.
type jobSet struct {
	listing
	selection
	due  due
	when time.Time // of due; check reads it
	name string
	open func(*inspect.Inspector) *inspect.JobSet
}

func (c *call) retriesCommand() *cobra.Command {
	return c.setCommand("retries",
		"the jobs that wait for a retry; retry, kill, delete, move, reschedule",
		(*inspect.Inspector).RetrySet)
}

func (c *call) scheduledCommand() *cobra.Command {
	return c.setCommand("scheduled", "the jobs that are due later; the same verbs as for retries",
		(*inspect.Inspector).ScheduleSet)
}

func (c *call) deadCommand() *cobra.Command {
	return c.setCommand("dead", "the jobs that are not retried any more; retry, delete",
		(*inspect.Inspector).DeadSet)
}

// orMore ends the summary of a verb.
const orMore = ", those of --filter, or --all"

func (c *call) setCommand(name, summary string,
	open func(*inspect.Inspector) *inspect.JobSet) *cobra.Command {
	s := &jobSet{name: name, open: open}
	cmd := s.verb(c, name, summary)
	cmd.Long, cmd.Example, cmd.Args = summary, "workerctl "+name+" --page 2", s.checkName
	s.listing.flags(cmd.Flags())
	s.filterFlag(cmd.Flags())
	c.watchable(cmd)
	list, show := s.verb(c, "list", "the jobs of the set"),
		s.verb(c, "show JID", "a job with all its fields and its backtrace")
	s.listing.flags(list.Flags())
	s.filterFlag(list.Flags())
	c.watchable(list)
	list.Args = s.checkList
	cmd.AddCommand(list, show)
	c.completes(show, jobsOf(open))
	for _, v := range s.changes() {
		below := s.verb(c, string(v.verb)+" JID…", v.summary+orMore)
		c.completes(below, jobsOf(open))
		s.selection.verbFlags(c, below, v.verb)
		to := ""
		if v.verb == queue.VerbMove {
			to = " --to low"
		}
		below.Example = fmt.Sprintf("workerctl %[1]s %[2]s %[3]s%[4]s\n"+
			"workerctl %[1]s %[2]s --filter host:example.com%[4]s", name, v.verb, sampleJID, to)
		cmd.AddCommand(below)
	}
	if !s.dead() {
		move := s.verb(c, "reschedule JID…", "make these jobs due at another time, --in or --at")
		s.due.flags(move.Flags(), "")
		c.completes(move, jobsOf(open))
		move.Example = "workerctl " + name + " reschedule " + sampleJID + " --in 2h"
		cmd.AddCommand(move)
	}
	return cmd
}

// verbSummary is a verb that changes jobs, and what it does.
type verbSummary struct {
	verb    queue.Verb
	summary string
}

// changes are the verbs that the set has.
func (s *jobSet) changes() []verbSummary {
	list := []verbSummary{
		{queue.VerbRetry, "run these jobs now, with one attempt given back"},
		{queue.VerbRequeue, "run these jobs now, without an attempt given back"},
		{queue.VerbDelete, "delete these jobs"}}
	if s.dead() {
		return list
	}
	return append(list, verbSummary{queue.VerbKill, "put these jobs into the dead set"},
		verbSummary{queue.VerbMove, "let these jobs go to another queue when they are due"})
}

// verb makes the command of a verb; the command of the set itself lists.
func (s *jobSet) verb(c *call, use, summary string) *cobra.Command {
	verb, _, _ := strings.Cut(use, " ")
	way := map[string]spread{"show": one, "reschedule": perWord(one)}[verb]
	if way == nil {
		way = once
	}
	cmd := c.spreading(way, use, summary, func(ctx context.Context, c *call, jids []string) error {
		return s.run(ctx, c, verb, jids)
	})
	cmd.Args = checked(func(jids []string) error { return s.check(verb, jids) })
	cmd.Example = "workerctl " + s.name + " " + strings.ReplaceAll(use, "JID", sampleJID)
	return cmd
}

// checkName is the Args of the command of the set itself.
func (s *jobSet) checkName(cmd *cobra.Command, words []string) error {
	if s.dead() && len(words) > 0 && words[0] == "kill" {
		return usageError{s.name,
			errors.New("kill: the jobs are dead already; delete removes them")}
	}
	return s.checkList(cmd, words)
}

// checkList is the Args of the commands that list.
func (s *jobSet) checkList(cmd *cobra.Command, words []string) error {
	if err := noWords(cmd, words); err != nil {
		return err
	}
	return checked(func([]string) error { return s.parse() })(cmd, words)
}

// dead reports whether this is the dead set: its jobs are not due at any time.
func (s *jobSet) dead() bool { return s.name == "dead" }

func (s *jobSet) check(verb string, jids []string) error {
	switch verb {
	case "show":
		if len(jids) != 1 {
			return errors.New("show: want one JID")
		}
	case "reschedule":
		if len(jids) == 0 {
			return errors.New("reschedule: want JIDs")
		}
		return s.checkDue()
	case "move":
		return s.checkMove(verb, jids)
	case "retry", "requeue", "kill", "delete":
		return s.selection.check(verb, jids)
	}
	return nil
}

func (s *jobSet) checkDue() (err error) {
	s.when, err = s.due.time(time.Now())
	if err == nil && s.when.IsZero() {
		err = errors.New("reschedule: want --in or --at")
	}
	return err
}

func (s *jobSet) run(ctx context.Context, c *call, verb string, jids []string) error {
	switch verb {
	case "show":
		return s.showOne(ctx, c, s.open(c.inspector), jids[0])
	case "reschedule":
		return s.reschedule(ctx, c, s.open(c.inspector), jids)
	case "retry", "requeue", "kill", "delete", "move":
		return s.change(ctx, c, source{name: s.name, open: s.open}, queue.Verb(verb), jids)
	}
	return s.show(ctx, c, s.open, &s.listing)
}

// showOne prints one job with all its fields.
func (s *jobSet) showOne(ctx context.Context, c *call, set *inspect.JobSet, jid string) error {
	e, err := set.Find(ctx, jid)
	if err != nil {
		return err
	}
	if c.json() {
		return c.print(newRow(e.Raw, e.Job, e.At))
	}
	t := c.uncut()
	t.row("when", moment(e.At))
	for _, name := range e.Job.Fields() {
		if name != "error_backtrace" {
			t.row(name, e.Job.Field(name))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range e.Job.Backtrace() {
		fmt.Fprintln(c.out, "   ", printable(line))
	}
	return nil
}

func (s *jobSet) reschedule(ctx context.Context, c *call, set *inspect.JobSet,
	jids []string) error {
	for _, jid := range jids {
		e, err := set.Find(ctx, jid)
		if err == nil {
			err = set.Reschedule(ctx, e, s.when)
		}
		if err := c.acted(err, "reschedule "+jid); err != nil {
			return err
		}
	}
	return nil
}
