package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

type held struct {
	listing
	selection
	classLimit limit
}

func (c *call) heldCommand() *cobra.Command {
	h := &held{}
	cmd := c.command("held", "the jobs that workers put aside (--unknown hold)", h.run)
	cmd.Long = "the classes of the jobs that workers put aside (--unknown hold)"
	cmd.Example = "workerctl held"
	c.completes(cmd, heldNames)
	h.classLimit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	class := c.spreading(once, "CLASS", "the jobs of a class", h.run)
	class.Long, class.Args = class.Short, checked(h.check)
	c.completes(class, secondIsVerb(class, heldNames))
	class.Example = "workerctl held NewWorker"
	h.listing.flags(class.Flags())
	h.filterFlag(class.Flags())
	c.watchable(class)
	cmd.AddCommand(class)
	class.AddCommand(h.verb(c, "release", "return these jobs to their queues"+orMore),
		h.verb(c, "delete", "delete these jobs"+orMore))
	return cmd
}

// verb makes the command of a verb.
func (h *held) verb(c *call, verb, summary string) *cobra.Command {
	cmd := c.spreading(once, verb+" JID…", summary,
		func(ctx context.Context, c *call, words []string) error {
			if err := c.knownHeld(ctx, words[0]); err != nil {
				return err
			}
			from := source{name: "held " + words[0], verb: verb, open: holdSet(words[0])}
			return h.change(ctx, c, from, heldVerbs[verb], words[1:])
		})
	cmd.Args = checked(func(words []string) error {
		return h.selection.check(words[0]+" "+verb, words[1:])
	})
	cmd.Example = "workerctl held NewWorker " + verb + " --all"
	c.completes(cmd, heldJobs)
	h.selection.verbFlags(c, cmd, heldVerbs[verb])
	return cmd
}

func (h *held) check(words []string) error {
	if len(words) > 1 {
		return fmt.Errorf("%s %s: want release or delete", words[0], words[1])
	}
	return h.parse()
}

func (h *held) run(ctx context.Context, c *call, words []string) error {
	if len(words) == 0 {
		return h.classes(ctx, c)
	}
	if err := c.knownHeld(ctx, words[0]); err != nil {
		return err
	}
	return h.show(ctx, c, holdSet(words[0]), &h.listing)
}

// holdSet opens the set of the held jobs of a class.
func holdSet(class string) func(*inspect.Inspector) *inspect.JobSet {
	return func(in *inspect.Inspector) *inspect.JobSet { return in.HoldSet(class) }
}

// heldVerbs are the verbs of operations by those of the command.
var heldVerbs = map[string]queue.Verb{"release": queue.VerbRequeue, "delete": queue.VerbDelete}

func (h *held) classes(ctx context.Context, c *call) error {
	list, err := c.inspector.HeldClasses(ctx)
	if err != nil {
		return err
	}
	served, err := c.inspector.Served(ctx)
	if err != nil {
		return err
	}
	return atMost(c, h.classLimit, list, func(list []inspect.Held) error {
		return c.printHeld(list, served)
	})
}

func (c *call) printHeld(list []inspect.Held, served map[string]inspect.Served) error {
	if c.json() {
		return c.print(append([]inspect.Held{}, list...))
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
		t.row(class.Class, class.Size, moment(class.Oldest), n)
	}
	return t.Flush()
}
