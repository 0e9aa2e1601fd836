package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

// locks is the command for the locks of jobs.
type locks struct {
	output
	question
	limit   int
	orphans bool
}

func locksCommand() command {
	l := &locks{}
	return command{name: "locks", summary: "the locks of unique jobs (sidekiq-unique-jobs)",
		forms: []form{{"", "the locks that jobs hold, the longest held first"},
			{"TEXT", "those whose digests contain a text"},
			{"--orphans", "those whose jobs are nowhere; reads all jobs, twice"},
			{"delete DIGEST…", "delete these locks, or with --orphans all that are orphans"}},
		flags: l.flags, check: l.check, run: l.run}
}

func (l *locks) flags(f *pflag.FlagSet) {
	l.output.flags(f)
	l.question.flags(f)
	f.IntVar(&l.limit, "limit", 25, "how many to print")
	f.BoolVar(&l.orphans, "orphans", false, "only locks whose jobs are nowhere")
}

func (l *locks) check(words []string) error {
	switch {
	case l.limit < 1:
		return fmt.Errorf("--limit %d: want at least 1", l.limit)
	case len(words) > 0 && words[0] == "delete" && len(words) == 1 && !l.orphans:
		return errors.New("delete: name the digests, or give --orphans")
	case len(words) > 1 && words[0] != "delete":
		return fmt.Errorf("%q: want one text, or delete DIGEST…", words)
	case len(words) > 1 && l.orphans:
		return errors.New("delete: name digests, or give --orphans, but not both")
	}
	return nil
}

func (l *locks) run(ctx context.Context, c *call, words []string) error {
	store := unique.NewLocks(c.store)
	if len(words) > 1 {
		return l.delete(ctx, c, store, words[1:])
	}
	text, next := "", 0
	if len(words) > 0 && words[0] != "delete" {
		text = words[0]
	}
	var list []unique.Held
	var err error
	if l.orphans {
		list, err = store.Orphans(ctx)
	} else {
		list, next, err = store.Page(ctx, text, 0, l.limit)
	}
	if err != nil {
		return err
	}
	if len(words) > 0 && words[0] == "delete" {
		return l.deleteOrphans(ctx, c, store, list)
	}
	return l.print(c, list, next > 0)
}

// print prints locks. more says that there are further ones.
func (l *locks) print(c *call, list []unique.Held, more bool) error {
	if l.json {
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
	if err := t.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(c.out, "There are more: give a text, or --limit.\n")
	}
	return nil
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
		fmt.Fprintf(c.out, "deleted the lock %s\n", digest)
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
		fmt.Fprintln(c.out, "There are no orphans.")
		return nil
	}
	if err := l.print(c, list, false); err != nil {
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
