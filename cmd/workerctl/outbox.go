package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database"
	"github.com/spf13/cobra"
)

// outboxTable is the command for the table of jobs that are pushed in transactions.
type outboxTable struct{ question }

func (c *call) outboxCommand() *cobra.Command {
	o := &outboxTable{}
	cmd := c.local("outbox", "the rows of kyu_outbox that wait for Redis, or hold no job", o.run)
	cmd.Long = "the table of jobs that are pushed in transactions of Postgres: how many rows\n" +
		"wait, how long, for which queues, and which are kept aside because they hold no job"
	cmd.Example = "workerctl outbox\nworkerctl outbox --json"
	retry := c.command("retry [ID…]", "let rows that are kept aside wait again, or all of them",
		o.retry)
	retry.Long = "let rows that are kept aside wait again, after their columns were corrected\n" +
		"by SQL, or the queue's key in Redis; without an ID, all of them"
	retry.Example = "workerctl outbox retry\nworkerctl outbox retry 4711"
	retry.Args = checked(func(words []string) error { _, err := rowIDs(words); return err })
	drop := c.command("drop ID…", "delete rows that are kept aside", o.drop)
	drop.Example = "workerctl outbox drop 4711 4712"
	drop.Args = checked(func(words []string) error {
		if len(words) == 0 {
			return errors.New("name the IDs of the rows")
		}
		_, err := rowIDs(words)
		return err
	})
	o.question.flags(drop.Flags())
	cmd.AddCommand(retry, drop)
	return cmd
}

// rowIDs reads the numbers of rows.
func rowIDs(words []string) (ids []int64, err error) {
	for _, word := range words {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q: want the ID of a row, a number", word)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// address is the Postgres of the environment.
func (o *outboxTable) address(c *call) (string, error) {
	config := database.ConfigFromEnv(c.env)
	if err := c.env.Err(); err != nil {
		return "", usageError{"outbox", err}
	}
	return config.URL, nil
}

func (o *outboxTable) run(ctx context.Context, c *call, _ []string) error {
	address, err := o.address(c)
	if err != nil {
		return err
	}
	s, err := outbox.Look(ctx, address)
	switch {
	case err != nil:
		return err
	case c.json():
		return c.print(s)
	case !s.Table:
		return outbox.ErrNoTable
	}
	return o.print(c, s)
}

// print prints the rows that wait, those that are kept aside, and the sizes.
func (o *outboxTable) print(c *call, s *outbox.State) error {
	t := c.table()
	if len(s.Queues) > 0 {
		t.row("QUEUE", "WAITING")
	}
	for _, q := range s.Queues {
		t.row(orDash(q.Queue), strconv.FormatInt(q.Rows, 10))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	more := ""
	if s.More {
		more = " or more"
	}
	fmt.Fprintf(c.out, "%d%s wait, the first for %s; %d are kept aside\n", s.Waiting, more,
		age(s.Oldest), s.Aside)
	fmt.Fprintf(c.out, "table %s, index %s, %d dead rows, %s\n", megabytes(s.Bytes),
		megabytes(s.IndexBytes), s.Dead, vacuumed(s))
	fmt.Fprintf(c.out, "inbox about %d marks, %s\n", s.Marks, megabytes(s.InboxBytes))
	if len(s.Bad) == 0 {
		return nil
	}
	t = c.table()
	t.row("ASIDE", "JID", "QUEUE", "CREATED", "REASON")
	for _, b := range s.Bad {
		t.row(strconv.FormatInt(b.ID, 10), b.JID, orDash(b.Queue), moment(b.Created), b.Error)
	}
	return t.Flush()
}

func vacuumed(s *outbox.State) string {
	switch {
	case s.NoAutovacuum:
		return "autovacuum is off"
	case s.Vacuumed.IsZero():
		return "not vacuumed yet"
	}
	return "vacuumed " + age(time.Since(s.Vacuumed).Seconds()) + " ago"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func (o *outboxTable) retry(ctx context.Context, c *call, words []string) error {
	return o.change(ctx, c, words, outbox.Retry, "wait again")
}

func (o *outboxTable) drop(ctx context.Context, c *call, words []string) error {
	if err := o.ask(c, fmt.Sprintf("Delete %d rows", len(words))); err != nil {
		return err
	}
	return o.change(ctx, c, words, outbox.Drop, "are deleted")
}

// change calls fn for the rows that are named.
func (o *outboxTable) change(ctx context.Context, c *call, words []string,
	fn func(context.Context, string, ...int64) (int64, error), done string) error {
	address, err := o.address(c)
	if err != nil {
		return err
	}
	ids, _ := rowIDs(words) // Args have checked them
	n, err := fn(ctx, address, ids...)
	switch {
	case err != nil:
		return err
	case n < int64(len(ids)):
		return fmt.Errorf("%d of %d rows %s: the others are not kept aside", n, len(ids), done)
	}
	return c.acted(nil, fmt.Sprintf("%d rows of the outbox %s", n, done))
}
