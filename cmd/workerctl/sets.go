package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
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

func retriesCommand() command {
	return setCommand("retries", "the jobs that wait for a retry; retry, kill, delete, reschedule",
		(*inspect.Inspector).RetrySet)
}

func scheduledCommand() command {
	return setCommand("scheduled", "the jobs that are due later; the same verbs as for retries",
		(*inspect.Inspector).ScheduleSet)
}

func deadCommand() command {
	return setCommand("dead", "the jobs that are not retried any more; retry, delete",
		(*inspect.Inspector).DeadSet)
}

func setCommand(name, summary string, open func(*inspect.Inspector) *inspect.JobSet) command {
	s := &jobSet{name: name, open: open}
	forms := []form{{"[list]", "the jobs of the set, or those that --filter chooses"},
		{"show JID", "a job with all its fields and its backtrace"}}
	if s.dead() {
		forms = append(forms,
			form{"retry|delete JID…", "retry or delete these jobs, those of --filter, or --all"})
	} else {
		forms = append(forms,
			form{"retry|kill|delete JID…",
				"retry, kill (to the dead set) or delete these jobs, those of --filter, or --all"},
			form{"reschedule JID…", "make these jobs due at another time, --in or --at"})
	}
	return command{name: name, summary: summary, forms: forms, flags: s.flags, check: s.check,
		run: s.run}
}

// dead reports whether this is the dead set: its jobs are not due at any time.
func (s *jobSet) dead() bool { return s.name == "dead" }

func (s *jobSet) flags(f *pflag.FlagSet) {
	s.selection.flags(f)
	if !s.dead() {
		s.due.flags(f, "reschedule: ")
	}
	s.listing.flags(f)
}

// verbOf splits the words into the verb, list if there is none, and the JIDs.
func verbOf(words []string) (verb string, jids []string) {
	if len(words) == 0 {
		return "list", nil
	}
	return words[0], words[1:]
}

func (s *jobSet) check(words []string) error {
	verb, jids := verbOf(words)
	switch {
	case verb == "list" && len(jids) == 0:
		return s.parse()
	case verb == "show" && len(jids) == 1:
		return nil
	case verb == "kill" && s.dead():
		return errors.New("kill: the jobs are dead already; delete removes them")
	case verb == "retry", verb == "kill", verb == "delete":
		return s.selection.check(verb, jids)
	case verb == "reschedule" && len(jids) > 0 && !s.dead():
		return s.checkDue()
	case s.dead():
		return fmt.Errorf("%s: want list, show JID, retry or delete", strings.Join(words, " "))
	}
	return fmt.Errorf("%s: want list, show JID, retry, kill, delete or reschedule JID…",
		strings.Join(words, " "))
}

func (s *jobSet) checkDue() (err error) {
	s.when, err = s.due.time(time.Now())
	if err == nil && s.when.IsZero() {
		err = errors.New("reschedule: want --in or --at")
	}
	return err
}

func (s *jobSet) run(ctx context.Context, c *call, words []string) error {
	set := s.open(c.inspector)
	verb, jids := verbOf(words)
	switch verb {
	case "list":
		if s.where != "" {
			return s.found(ctx, c, set, &s.listing)
		}
		return s.list(ctx, c, set)
	case "show":
		return s.show(ctx, c, set, jids[0])
	case "reschedule":
		return s.reschedule(ctx, c, set, jids)
	}
	ops := map[string]operation{"retry": set.Retry, "kill": set.Kill, "delete": set.Delete}
	return s.change(ctx, c, change{s.name, verb, set, ops[verb]}, jids)
}

// list prints a page of a set.
func (l *listing) list(ctx context.Context, c *call, set *inspect.JobSet) error {
	page, err := set.Page(ctx, l.offset(), pageSize)
	if err != nil {
		return err
	}
	var list []row
	for _, e := range page {
		list = append(list, newRow(e.Raw, e.Job, e.At))
	}
	return l.jobs(c, list, "WHEN")
}

// show prints one job with all its fields.
func (s *jobSet) show(ctx context.Context, c *call, set *inspect.JobSet, jid string) error {
	e, err := set.Find(ctx, jid)
	if err != nil {
		return err
	}
	if s.json {
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

func (s *jobSet) reschedule(ctx context.Context, c *call, set *inspect.JobSet,
	jids []string) error {
	for _, jid := range jids {
		e, err := set.Find(ctx, jid)
		if err == nil {
			err = set.Reschedule(ctx, e, s.when)
		}
		if err := c.done(err, "reschedule "+jid); err != nil {
			return err
		}
	}
	return nil
}
