package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

type held struct {
	listing
	selection
}

func heldCommand() command {
	h := &held{}
	return command{name: "held", summary: "the jobs that workers put aside (--unknown hold)",
		forms: []form{{"", "the classes of the jobs that workers put aside (--unknown hold)"},
			{"CLASS", "the jobs of a class"},
			{"CLASS release JID…", "return these jobs, or --all, to their queues"},
			{"CLASS delete JID…", "delete these jobs, or --all"}},
		flags: h.flags, check: h.check, run: h.run}
}

func (h *held) flags(f *pflag.FlagSet) {
	h.selection.flags(f)
	h.listing.flags(f)
}

func (h *held) check(words []string) error {
	switch {
	case len(words) < 2:
		return h.parse()
	case words[1] != "release" && words[1] != "delete":
		return fmt.Errorf("%s %s: want release or delete", words[0], words[1])
	}
	return h.selection.check(words[0]+" "+words[1], words[2:])
}

func (h *held) run(ctx context.Context, c *call, words []string) error {
	if len(words) == 0 {
		return h.classes(ctx, c)
	}
	class, set := words[0], c.inspector.HoldSet(words[0])
	if len(words) == 1 && h.where != "" {
		return h.found(ctx, c, set, &h.listing)
	}
	if len(words) == 1 {
		return h.list(ctx, c, set)
	}
	ops := map[string]operation{"release": set.AddToQueue, "delete": set.Delete}
	return h.change(ctx, c, change{"held " + class, words[1], set, ops[words[1]]}, words[2:])
}

func (h *held) classes(ctx context.Context, c *call) error {
	list, err := c.inspector.HeldClasses(ctx)
	if err != nil {
		return err
	}
	if h.json {
		return c.print(append([]inspect.Held{}, list...))
	}
	served, err := c.inspector.Served(ctx)
	if err != nil {
		return err
	}
	t := c.table()
	t.row("CLASS", "JOBS", "SINCE", "WORKERS THAT KNOW IT")
	for _, class := range list {
		n := 0
		for _, s := range served {
			if slices.Contains(s.Classes, class.Class) {
				n++
			}
		}
		t.row(class.Class, class.Size, class.Oldest.UTC().Format(timeLayout), n)
	}
	return t.Flush()
}
