package main

import (
	"cmp"
	"context"
	"fmt"
	"os/user"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// audit is the command that lists what people have changed.
type audit struct{ limit limit }

func (c *call) auditCommand() *cobra.Command {
	a := &audit{}
	cmd := c.command("audit [TEXT]", "who changed what with workerctl, and when", a.run)
	cmd.Long = "what people have changed with workerctl, the latest first; with a TEXT,\n" +
		"the acts among the last 10,000 that contain it"
	cmd.Example = "workerctl audit\nworkerctl audit ada --limit 100"
	cmd.Args = checked(func(words []string) error {
		if len(words) > 1 {
			return fmt.Errorf("%q: want one text; one with spaces needs quotes", words)
		}
		return nil
	})
	a.limit.flags(cmd.Flags(), pageSize)
	c.watchable(cmd)
	return cmd
}

// searched is how many acts a text is looked for in.
const searched = 10_000

func (a *audit) run(ctx context.Context, c *call, words []string) error {
	text, count := strings.Join(words, ""), int64(a.limit)
	if text != "" {
		count = searched
	}
	acts, err := c.inspector.Acts(ctx, count)
	if err != nil {
		return err
	}
	found := []inspect.Act{}
	for _, act := range acts {
		all := strings.Join([]string{act.By, act.Host, act.Command, act.What}, " ")
		if len(found) < int(a.limit) && strings.Contains(all, text) {
			found = append(found, act)
		}
	}
	if c.json() {
		return c.print(found)
	}
	t := c.table()
	t.row("WHEN", "WHO", "COMMAND", "WHAT")
	for _, act := range found {
		t.row(moment(act.At), act.By+"@"+act.Host, act.Command, act.What)
	}
	return t.Flush()
}

// recordWithin is how long the record of an act may take: the act itself is done.
const recordWithin = 2 * time.Second

// acted is done for a change that a person made: it is also recorded in the audit. An act that
// cannot be recorded is done nevertheless, and a line says that it is not in the audit.
func (c *call) acted(err error, line string) error {
	if err != nil {
		return err
	}
	if err := c.record(c.path, line); err != nil {
		fmt.Fprintf(c.errOut, "workerctl: done, but not in the audit: %v\n", err)
	}
	return c.done(nil, line)
}

// record adds an act to the audit: the words of its command, and what was done.
func (c *call) record(command, what string) error {
	ctx, cancel := context.WithTimeout(context.Background(), recordWithin)
	defer cancel()
	act := inspect.Act{By: c.person(), Host: hostname(), Command: command, What: what}
	if c.inspector == nil { // it was done in all shards
		_, _, err := inspect.Each(ctx, c.fleet, func(ctx context.Context,
			m *inspect.Member) (struct{}, error) {
			return struct{}{}, m.Record(ctx, act)
		})
		return err
	}
	return c.inspector.Record(ctx, act)
}

// person is who calls the program: the name of --as, else the one who called sudo, else the user.
func (c *call) person() string {
	before, _ := c.env.Get("SUDO_USER")
	name := cmp.Or(c.as, before)
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	return cmp.Or(name, "unknown")
}
