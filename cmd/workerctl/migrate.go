package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/database/migrate"
)

// migrate needs no Redis.
func (c *ctl) migrate(ctx context.Context, words []string) error {
	what := strings.Join(words, " ")
	if what != "" && what != "up" && what != "status" {
		return fmt.Errorf("%w: migrate %s: want up or status", errUsage, what)
	}
	url := migrate.URL(c.env)
	if err := c.env.Err(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if what == "status" {
		return c.migrations(ctx, url)
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

func (c *ctl) migrations(ctx context.Context, url string) error {
	list, err := migrate.Status(ctx, url)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]migrate.Migration{}, list...))
	}
	t := c.table()
	t.row("STEP", "DONE")
	for _, m := range list {
		at := "not yet"
		if m.Applied != nil {
			at = m.Applied.UTC().Format("2006-01-02 15:04:05")
		}
		t.row(m.Name, at)
	}
	return t.Flush()
}
