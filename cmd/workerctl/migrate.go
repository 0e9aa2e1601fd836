package main

import (
	"context"
	"strings"

	"github.com/kyujobs/kyu/database/migrate"
	"github.com/spf13/cobra"
)

type migration struct{}

func (c *call) migrateCommand() *cobra.Command {
	m := &migration{}
	cmd := c.local("migrate", "create the tables of the jobs in Postgres", m.run)
	cmd.Long = "create the tables that are not there yet; behind a pooler, DIRECT_DATABASE_URL\n" +
		"names the server itself"
	cmd.Example = "workerctl migrate\nworkerctl migrate status"
	up := c.local("up", "the same as migrate alone", m.run)
	up.Example = "workerctl migrate up"
	status := c.local("status", "list the steps, and when each was done", m.status)
	status.Example = "workerctl migrate status"
	cmd.AddCommand(up, status)
	return cmd
}

func (m *migration) run(ctx context.Context, c *call, _ []string) error {
	url := migrate.URL(c.env)
	if err := c.env.Err(); err != nil {
		return usageError{"migrate", err}
	}
	names, err := migrate.Up(ctx, url)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return c.done(nil, "nothing to do: all tables are there")
	}
	return c.done(nil, "done: "+strings.Join(names, ", "))
}

func (m *migration) status(ctx context.Context, c *call, _ []string) error {
	url := migrate.URL(c.env)
	if err := c.env.Err(); err != nil {
		return usageError{"migrate status", err}
	}
	list, err := migrate.Status(ctx, url)
	if err != nil {
		return err
	}
	if c.json() {
		return c.print(append([]migrate.Migration{}, list...))
	}
	t := c.table()
	t.row("STEP", "DONE")
	for _, step := range list {
		at := "not yet"
		if step.Applied != nil {
			at = moment(*step.Applied)
		}
		t.row(step.Name, at)
	}
	return t.Flush()
}
