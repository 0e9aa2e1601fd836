package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// find is the command that looks for jobs in all places.
type find struct {
	limit  limit
	within time.Duration
	filter inspect.Filter // of the words; check reads it
}

func (c *call) findCommand() *cobra.Command {
	f := &find{}
	cmd := c.spreading(once, "find FILTER…", "find jobs in all queues, sets and processes", f.run)
	cmd.Long = "find the jobs that a filter chooses, wherever they are: scheduled, in retries,\n" +
		"held, in queues, in the hands of processes, dead. It reads all jobs, a page at a\n" +
		"time, until it has found enough"
	cmd.Example = "workerctl find arg:42\nworkerctl find class:Feed::* host:example.com --limit 5"
	cmd.Args = checked(f.check)
	f.limit.flags(cmd.Flags(), pageSize)
	cmd.Flags().DurationVar(&f.within, "timeout", time.Minute, "end after `DURATION` with what is "+
		"found")
	return cmd
}

func (f *find) check(words []string) (err error) {
	switch {
	case len(words) == 0:
		return errors.New("want a filter, such as class:Feed::* or arg:42")
	case f.within <= 0:
		return errors.New("--timeout: want more than 0")
	}
	f.filter, err = inspect.ParseFilter(strings.Join(words, " "))
	return err
}

// foundRow is a job that was found, and its place.
type foundRow struct {
	row
	Place inspect.Place `json:"place"`
	Shard string        `json:"shard,omitempty"`
}

func (f *find) run(ctx context.Context, c *call, _ []string) error {
	ctx, stop := context.WithTimeout(ctx, f.within)
	defer stop()
	s, err := c.fleet.Search(ctx, f.filter, int(f.limit))
	if err != nil {
		return err
	}
	rows := []foundRow{}
	for _, found := range s.Found {
		rows = append(rows, foundRow{newRow(found.Raw, found.Job, found.Place.At), found.Place,
			found.Shard})
	}
	if err := f.print(c, rows, s); err != nil {
		return err
	}
	if s.More && len(rows) < int(f.limit) {
		err = fmt.Errorf("after %v %s jobs were read, and there are others: give --timeout more",
			f.within, grouped(s.Read))
	}
	return c.complete(s.Away, err)
}

func (f *find) print(c *call, rows []foundRow, s inspect.FleetSearch) error {
	if c.json() {
		return c.print(rows)
	}
	t := c.table()
	c.rowOf(t, "SHARD", "JID", "CLASS", "ARGS", "PLACE", "WHEN")
	for i, r := range rows {
		c.rowOf(t, r.Shard, r.JID, r.Class, string(r.Args), placeText(r.Place),
			foundAt(s.Found[i].Found))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	text := fmt.Sprintf("%d found, of %s jobs\n", len(rows), grouped(s.Read))
	if s.More && len(rows) == int(f.limit) {
		text = fmt.Sprintf("the first %d; there are others: give a narrower filter, or --limit\n",
			len(rows))
	}
	_, err := fmt.Fprint(c.out, text)
	return err
}

// placeText says in a few words where a job is.
func placeText(p inspect.Place) string {
	switch p.Kind {
	case inspect.InQueue:
		return "queue " + p.Queue
	case inspect.InLane:
		return fmt.Sprintf("lane %s of queue %s", p.Lane, p.Queue)
	case inspect.InHold:
		return "held " + p.Class
	case inspect.InLanding, inspect.InFlight, inspect.InRuby:
		return string(p.Kind) + ", " + p.Process
	}
	return string(p.Kind)
}

// foundAt is when a job in a set is due, died or was held, and when any other was pushed to its
// queue.
func foundAt(f inspect.Found) string {
	if !f.Place.At.IsZero() {
		return moment(f.Place.At)
	}
	if f.Job == nil {
		return ""
	}
	return moment(f.Job.Time("enqueued_at"))
}
