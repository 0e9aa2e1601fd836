package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// locks is the command for the locks of jobs.
type locks struct {
	question
	limit   limit
	orphans bool
}

func (c *call) locksCommand() *cobra.Command {
	l := &locks{}
	cmd := c.command("locks [TEXT]", "the locks of unique jobs (sidekiq-unique-jobs)", l.run)
	cmd.Long = "the locks that jobs hold, the longest held first; with a TEXT, those whose\n" +
		"digests contain it; --orphans reads all jobs, twice"
	cmd.Example = "workerctl locks uniquejobs:1f\nworkerctl locks --orphans"
	cmd.Args = l.checkText
	l.limit.flags(cmd.Flags(), pageSize)
	c.watchable(cmd)
	l.orphansFlag(cmd.Flags())
	remove := c.command("delete DIGEST…",
		"delete these locks, or with --orphans all that are orphans", l.runDelete)
	remove.Example = "workerctl locks delete uniquejobs:1f3c\nworkerctl locks delete --orphans"
	remove.Args = checked(l.checkDelete)
	c.completes(remove, digests)
	l.question.flags(remove.Flags())
	l.orphansFlag(remove.Flags())
	cmd.AddCommand(remove)
	return cmd
}

func (l *locks) orphansFlag(f *pflag.FlagSet) {
	f.BoolVar(&l.orphans, "orphans", false, "only locks whose jobs are nowhere")
}

func (l *locks) checkText(cmd *cobra.Command, words []string) error {
	return checked(func([]string) error {
		if len(words) > 1 {
			return fmt.Errorf("%q: %swant one text, or delete DIGEST…", words,
				didYouMean(cmd, words[0]))
		}
		return nil
	})(cmd, words)
}

func (l *locks) checkDelete(digests []string) error {
	switch {
	case len(digests) == 0 && !l.orphans:
		return errors.New("delete: name the digests, or give --orphans")
	case len(digests) > 0 && l.orphans:
		return errors.New("delete: name digests, or give --orphans, but not both")
	}
	return nil
}

func (l *locks) run(ctx context.Context, c *call, words []string) error {
	store := unique.NewLocks(c.store)
	if l.orphans {
		list, err := store.Orphans(ctx)
		if err != nil {
			return err
		}
		return atMost(c, l.limit, list, func(list []unique.Held) error {
			return l.print(c, list)
		})
	}
	list, next, err := store.Page(ctx, strings.Join(words, ""), 0, int(l.limit))
	if err != nil {
		return err
	}
	if err := l.print(c, list); err != nil || c.json() {
		return err
	}
	if len(words) == 0 {
		size, err := store.Size(ctx)
		if err != nil {
			return err
		}
		return c.printPart(0, len(list), size)
	}
	if next > 0 {
		fmt.Fprintf(c.out, "There are more: give --limit, or a longer text.\n")
	}
	return nil
}

func (l *locks) runDelete(ctx context.Context, c *call, digests []string) error {
	store := unique.NewLocks(c.store)
	if !l.orphans {
		return l.delete(ctx, c, store, digests)
	}
	list, err := store.Orphans(ctx)
	if err != nil {
		return err
	}
	return l.deleteOrphans(ctx, c, store, list)
}

// print prints locks.
func (l *locks) print(c *call, list []unique.Held) error {
	if c.json() {
		return c.print(append([]unique.Held{}, list...))
	}
	t := c.table()
	t.row("DIGEST", "HELD BY", "FOR", "EXPIRES IN")
	for _, h := range list {
		for _, holder := range h.Holders {
			held, left := "", "never"
			if !holder.Since.IsZero() {
				held = age(time.Since(holder.Since).Seconds())
			}
			if h.Expires > 0 {
				left = age(h.Expires.Seconds())
			}
			t.row(h.Digest, holder.JID, held, left)
		}
	}
	return t.Flush()
}

func (l *locks) delete(ctx context.Context, c *call, store *unique.Locks, digests []string) error {
	var missing []string
	for _, digest := range digests {
		found, err := store.Delete(ctx, digest)
		if err != nil {
			return err
		}
		if !found {
			missing = append(missing, digest)
			continue
		}
		c.acted(nil, "deleted the lock "+digest)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s: no job holds this lock", queue.ErrNotFound,
			strings.Join(missing, ", "))
	}
	return nil
}

func (l *locks) deleteOrphans(ctx context.Context, c *call, store *unique.Locks,
	list []unique.Held) error {
	if len(list) == 0 {
		return c.done(nil, "There are no orphans.")
	}
	if err := l.print(c, list); err != nil {
		return err
	}
	if err := l.ask(c, fmt.Sprintf("Delete these %d locks?", len(list))); err != nil {
		return err
	}
	digests := make([]string, len(list))
	for i := range list {
		digests[i] = list[i].Digest
	}
	return l.delete(ctx, c, store, digests)
}
