package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/database/migrate"
)

type migration struct{ output }

func migrateCommand() command {
	m := &migration{}
	return command{name: "migrate", local: true,
		summary: "create the tables of the jobs in Postgres",
		forms: []form{{"[up]", "create the tables that are not there yet; behind a pooler,\n" +
			"DIRECT_DATABASE_URL names the server itself"},
			{"status", "list the steps, and when each was done"}},
		flags: m.flags, check: m.check, run: m.run}
}

func (m *migration) check(words []string) error {
	switch verb := strings.Join(words, " "); verb {
	case "", "up", "status":
		return nil
	default:
		return fmt.Errorf("%s: want up or status", verb)
	}
}

func (m *migration) run(ctx context.Context, c *call, words []string) error {
	url := migrate.URL(c.env)
	if err := c.env.Err(); err != nil {
		return usageError{"migrate", err}
	}
	if len(words) > 0 && words[0] == "status" {
		return m.status(ctx, c, url)
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

func (m *migration) status(ctx context.Context, c *call, url string) error {
	list, err := migrate.Status(ctx, url)
	if err != nil {
		return err
	}
	if m.json {
		return c.print(append([]migrate.Migration{}, list...))
	}
	t := c.table()
	t.row("STEP", "DONE")
	for _, step := range list {
		at := "not yet"
		if step.Applied != nil {
			at = step.Applied.UTC().Format(timeLayout)
		}
		t.row(step.Name, at)
	}
	return t.Flush()
}
