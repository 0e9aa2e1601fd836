package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue/inspect"
)

// held lists what workers have put aside, by class, or the jobs of one class, or
// changes them.
func (c *ctl) held(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return c.heldClasses(ctx)
	}
	class, set := words[0], inspect.New(c.store).HoldSet(words[0])
	if len(words) == 1 {
		return c.list(ctx, set)
	}
	ops := map[string]operation{"release": set.AddToQueue, "delete": set.Delete}
	if ops[words[1]] == nil {
		return fmt.Errorf("%w: held %s %s: want release or delete", errUsage, class, words[1])
	}
	return c.change(ctx, "held "+class, set, words[1], ops[words[1]], words[2:])
}

func (c *ctl) heldClasses(ctx context.Context) error {
	list, err := inspect.New(c.store).HeldClasses(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]inspect.Held{}, list...))
	}
	served, err := inspect.New(c.store).Served(ctx)
	if err != nil {
		return err
	}
	t := c.table()
	t.row("CLASS", "JOBS", "SINCE", "WORKERS THAT KNOW IT")
	for _, h := range list {
		n := 0
		for _, s := range served {
			if slices.Contains(s.Classes, h.Class) {
				n++
			}
		}
		t.row(h.Class, h.Size, h.Oldest.UTC().Format("2006-01-02 15:04:05"), n)
	}
	return t.Flush()
}
