package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/spf13/cobra"
)

// schedules is the command cron.
type schedules struct{ limit limit }

func (c *call) cronCommand() *cobra.Command {
	s := &schedules{}
	cmd := c.command("cron", "the entries of schedules; pause, run, import them", s.on(s.list))
	cmd.Long = "all entries, with their last and next slots and their states"
	cmd.Example = "workerctl cron"
	s.limit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	show := s.entry(c, "show", "an entry, and its last 100 runs", s.show)
	printed := c.spreading(chosen, "import", "print the entries of sidekiq-scheduler and "+
		"sidekiq-cron as a "+
		"file for --schedule", s.on(s.printImport))
	printed.Example = "workerctl cron import > schedule.yml"
	cmd.AddCommand(show,
		s.entry(c, "pause", "push no job of an entry until it is resumed; its slots meanwhile "+
			"are lost", pauseEntry),
		s.entry(c, "resume", "let a paused entry go on", resumeEntry),
		s.entry(c, "run", "push the job of an entry now; its slots do not change", runEntry),
		s.entry(c, "delete", "delete an entry that its schedule does not have any more",
			deleteEntry),
		printed)
	return cmd
}

// on makes a runner of what is done with all entries.
func (s *schedules) on(do func(context.Context, *call, cron.Control) error) runner {
	return func(ctx context.Context, c *call, _ []string) error {
		return do(ctx, c, cron.Control{Store: c.store})
	}
}

// entry makes the command of a verb that is done with one entry.
func (s *schedules) entry(c *call, verb, summary string,
	do func(context.Context, *call, cron.Control, string) error) *cobra.Command {
	way := each
	if verb == "show" || verb == "run" { // a run pushes one job
		way = one
	}
	cmd := c.spreading(way, verb+" NAME", summary,
		func(ctx context.Context, c *call, words []string) error {
			err := do(ctx, c, cron.Control{Store: c.store}, words[0])
			return c.withNames(ctx, err, words[0], entryNames)
		})
	c.completes(cmd, firstWord(entryNames))
	cmd.Example = "workerctl cron " + verb + " nightly"
	cmd.Args = checked(func(words []string) error {
		if len(words) != 1 {
			return errors.New("want the name of one entry; a name with spaces needs quotes")
		}
		return nil
	})
	return cmd
}

func pauseEntry(ctx context.Context, c *call, control cron.Control, name string) error {
	return c.acted(control.Pause(ctx, name), "paused "+name)
}

func resumeEntry(ctx context.Context, c *call, control cron.Control, name string) error {
	return c.acted(control.Resume(ctx, name), "resumed "+name)
}

func runEntry(ctx context.Context, c *call, control cron.Control, name string) error {
	jid, err := control.Run(ctx, name)
	return c.acted(err, "pushed "+jid+" of "+name)
}

func deleteEntry(ctx context.Context, c *call, control cron.Control, name string) error {
	return c.acted(control.Delete(ctx, name), "deleted "+name)
}

func (s *schedules) list(ctx context.Context, c *call, control cron.Control) error {
	list, err := control.List(ctx)
	if err != nil {
		return err
	}
	return atMost(c, s.limit, list, c.printEntries)
}

func (c *call) printEntries(list []cron.Status) error {
	if c.json() {
		return printEntriesJSON(c, list)
	}
	t := c.table()
	t.row("ENTRY", "WHEN", "CLASS", "QUEUE", "LAST", "NEXT", "STATE")
	for _, e := range list {
		t.row(e.Name, e.When(), e.Class, e.QueueName(), moment(e.Last), moment(e.Next),
			e.State)
	}
	return t.Flush()
}

func (s *schedules) show(ctx context.Context, c *call, control cron.Control, name string) error {
	e, runs, err := control.Show(ctx, name)
	if err != nil {
		return err
	}
	if c.json() {
		return printEntryJSON(c, e, runs)
	}
	t := c.uncut()
	for _, row := range [][2]string{{"entry", e.Name}, {"schedule", e.Schedule},
		{"description", e.Description}, {"when", e.When()}, {"class", e.Class},
		{"queue", e.QueueName()}, {"misfire", string(e.Misfire)}, {"state", string(e.State)},
		{"last", moment(e.Last)}, {"next", moment(e.Next)}, {"paused since", moment(e.Paused)},
		{"lock held by", e.Locked}, {"problem", e.Problem}} {
		if row[1] != "" {
			t.row(row[0], row[1])
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	t = c.table()
	fmt.Fprintln(c.out)
	t.row("SLOT", "PUSHED", "JID")
	for _, r := range runs {
		slot, jid := moment(r.Slot), r.JID
		if slot == "" {
			slot = "by hand"
		}
		if r.Skipped != "" {
			jid = "skipped: " + r.Skipped
		}
		t.row(slot, moment(r.At), jid)
	}
	return t.Flush()
}

// printEntryJSON prints an entry and its runs as JSON.
func printEntryJSON(c *call, s cron.Status, runs []cron.Run) error {
	e, err := cron.NewEntryJSON(s)
	if err != nil {
		return err
	}
	if e["runs"], err = json.Marshal(runs); err != nil {
		return err
	}
	return c.print(e)
}

// printImport prints a file. Entries that cannot be understood are an error after it.
func (s *schedules) printImport(ctx context.Context, c *call, control cron.Control) error {
	found, problems := control.Import(ctx)
	if problems != nil && len(found.Entries) == 0 {
		return problems
	}
	if c.json() {
		return errors.Join(printEntriesJSON(c, found.Entries), problems)
	}
	text, err := cron.Format(found)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "# %d entries. Read docs/cron.md before a worker gets this file.\n%s",
		len(found.Entries), text)
	return problems
}

// printEntriesJSON prints entries as JSON.
func printEntriesJSON[T any](c *call, list []T) error {
	out, err := cron.EntriesJSON(list)
	if err != nil {
		return err
	}
	return c.print(out)
}
