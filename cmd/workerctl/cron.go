package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/spf13/pflag"
)

// schedules is the command cron.
type schedules struct{ output }

func cronCommand() command {
	s := &schedules{}
	return command{name: "cron", summary: "the entries of schedules; pause, run, import them",
		forms: []form{{"", "all entries, with their last and next slots and their states"},
			{"show NAME", "an entry, and its last 100 runs"},
			{"pause NAME", "push no job of an entry until it is resumed; its slots\n" +
				"meanwhile are lost"},
			{"resume NAME", "let a paused entry go on"},
			{"run NAME", "push the job of an entry now; its slots do not change"},
			{"delete NAME", "delete an entry that its schedule does not have any more"},
			{"import", "print the entries of sidekiq-scheduler and sidekiq-cron as a\n" +
				"file for --schedule"}},
		flags: s.flags, check: s.check, run: s.run}
}

func (s *schedules) check(words []string) error {
	if len(words) == 0 || len(words) == 1 && words[0] == "import" {
		return nil
	}
	switch words[0] {
	case "show", "pause", "resume", "run", "delete":
		if len(words) == 2 {
			return nil
		}
		return fmt.Errorf("cron %s: want the name of one entry; a name with spaces needs quotes",
			words[0])
	}
	return fmt.Errorf("cron %s: want show, pause, resume, run, delete or import", words[0])
}

func (s *schedules) run(ctx context.Context, c *call, words []string) error {
	control := cron.Control{Store: c.store}
	if len(words) == 0 {
		return s.list(ctx, c, control)
	}
	if words[0] == "import" {
		return s.printImport(ctx, c, control)
	}
	name := words[1]
	switch words[0] {
	case "pause":
		return c.done(control.Pause(ctx, name), "paused "+name)
	case "resume":
		return c.done(control.Resume(ctx, name), "resumed "+name)
	case "delete":
		return c.done(control.Delete(ctx, name), "deleted "+name)
	case "run":
		jid, err := control.Run(ctx, name)
		return c.done(err, "pushed "+jid)
	default:
		return s.show(ctx, c, control, name)
	}
}

func (s *schedules) flags(f *pflag.FlagSet) { s.output.flags(f) }

func (s *schedules) list(ctx context.Context, c *call, control cron.Control) error {
	list, err := control.List(ctx)
	if err != nil {
		return err
	}
	if s.json {
		return c.print(list)
	}
	t := c.table()
	t.row("ENTRY", "WHEN", "CLASS", "QUEUE", "LAST", "NEXT", "STATE")
	for _, e := range list {
		t.row(e.Name, when(e.Entry), e.Class, queueOf(e.Entry), moment(e.Last), moment(e.Next),
			e.State)
	}
	return t.Flush()
}

// when says in one word or two when an entry is due.
func when(e cron.Entry) string {
	if e.Every > 0 {
		return "every " + e.Every.String()
	}
	return strings.TrimSpace(e.Cron + " " + e.TZ)
}

func queueOf(e cron.Entry) string {
	if e.Queue == "" {
		return "default"
	}
	return e.Queue
}

// moment is a time in a table, or "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}

func (s *schedules) show(ctx context.Context, c *call, control cron.Control, name string) error {
	e, runs, err := control.Show(ctx, name)
	if err != nil {
		return err
	}
	if s.json {
		return c.print(struct {
			cron.Status
			Runs []cron.Run `json:"runs"`
		}{e, runs})
	}
	t := c.table()
	for _, row := range [][2]string{{"entry", e.Name}, {"schedule", e.Schedule},
		{"description", e.Description}, {"when", when(e.Entry)}, {"class", e.Class},
		{"queue", queueOf(e.Entry)}, {"misfire", string(e.Misfire)}, {"state", string(e.State)},
		{"last", moment(e.Last)}, {"next", moment(e.Next)}, {"paused since", moment(e.Paused)},
		{"lock held by", e.Locked}, {"problem", e.Problem}} {
		if row[1] != "" {
			t.row(row[0], row[1])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.out)
	t = c.table()
	t.row("SLOT", "PUSHED", "JID")
	for _, r := range runs {
		slot, jid := moment(r.Slot), r.JID
		if slot == "" {
			slot = "by hand"
		}
		if r.Skipped != "" {
			jid = "skipped: " + r.Skipped
		}
		t.row(slot, r.At.UTC().Format(timeLayout), jid)
	}
	return t.Flush()
}

// printImport prints a file. Entries that cannot be understood are an error after it.
func (s *schedules) printImport(ctx context.Context, c *call, control cron.Control) error {
	found, problems := control.Import(ctx)
	if problems != nil && len(found.Entries) == 0 {
		return problems
	}
	if s.json {
		return errors.Join(c.print(found.Entries), problems)
	}
	text, err := cron.Format(found)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "# %d entries. Read docs/cron.md before a worker gets this file.\n%s",
		len(found.Entries), text)
	return problems
}
