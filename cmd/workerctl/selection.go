package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

// selection are the flags of commands that list or change jobs: those that are named, those that a
// filter chooses, or all.
type selection struct {
	question
	all    bool
	dryRun bool
	where  string
	filter inspect.Filter // of where; check reads it
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.all, "all", false, "all jobs")
	s.filterFlag(f)
	f.BoolVar(&s.dryRun, "dry-run", false, "with --filter or --all: only count the jobs")
	s.question.flags(f)
}

func (s *selection) filterFlag(f *pflag.FlagSet) {
	f.StringVar(&s.where, "filter", "", "the jobs that a `FILTER` chooses, such as "+
		"\"class:Feed::* host:example.com age>2h retry>3 -tag:slow text\"")
}

// parse reads the filter.
func (s *selection) parse() (err error) {
	s.filter, err = inspect.ParseFilter(s.where)
	return err
}

// check wants either names, or --all, or a filter.
func (s *selection) check(verb string, jids []string) error {
	ways := 0
	for _, given := range []bool{len(jids) > 0, s.all, s.where != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return fmt.Errorf("%s: want JIDs, or --all, or --filter", verb)
	case s.dryRun && len(jids) > 0:
		return fmt.Errorf("%s: --dry-run counts the jobs of --filter or --all", verb)
	}
	return s.parse()
}

// change is an operation on the jobs of a set.
type change struct {
	name string // of the set
	verb string
	set  *inspect.JobSet
	op   operation
}

// operation changes entries of a set, and returns how many were still there.
type operation func(context.Context, ...queue.Entry) (int, error)

func (s *selection) change(ctx context.Context, c *call, to change, jids []string) error {
	if len(jids) == 0 {
		return s.changeAll(ctx, c, to)
	}
	for _, jid := range jids {
		e, err := to.set.Find(ctx, jid)
		if err != nil {
			return err
		}
		n, err := to.op(ctx, e)
		if err == nil && n == 0 {
			err = fmt.Errorf("job %s: %w: it has just left %s", jid, queue.ErrNotFound, to.name)
		}
		if err := c.acted(err, to.verb+" "+jid); err != nil {
			return err
		}
	}
	return nil
}

// changeAll changes the jobs that the filter chooses, and that are in the set now: jobs that come
// later stay.
func (s *selection) changeAll(ctx context.Context, c *call, to change) error {
	asOf := time.Now()
	found, err := to.set.Where(ctx, s.filter, asOf, nil)
	if err != nil {
		return err
	}
	jobs := fmt.Sprintf("%d of the %d jobs of %s", found.Matched, found.Seen, to.name)
	if s.all {
		jobs = fmt.Sprintf("all %d jobs of %s", found.Matched, to.name)
	}
	if s.dryRun {
		return c.done(nil, fmt.Sprintf("%s would change %s", to.verb, jobs))
	}
	verb := strings.ToUpper(to.verb[:1]) + to.verb[1:]
	if err := s.ask(c, verb+" "+jobs); err != nil {
		return err
	}
	t, err := to.set.Where(ctx, s.filter, asOf, to.op)
	done := fmt.Sprintf("%s: %d jobs", to.verb, t.Changed)
	if !s.filter.Empty() {
		done += ", of the filter " + s.filter.String()
	}
	return c.acted(err, done)
}

// show lists the jobs of a set, or those that the filter chooses.
func (s *selection) show(ctx context.Context, c *call, set *inspect.JobSet, l *listing) error {
	if s.where == "" {
		return l.list(ctx, c, set)
	}
	var list []row
	seen := int64(0)
	t, err := set.Where(ctx, s.filter, time.Now(),
		func(_ context.Context, page ...queue.Entry) (int, error) {
			for _, e := range page {
				if seen++; seen > l.offset() && len(list) < int(l.limit) {
					list = append(list, newRow(e.Raw, e.Job, e.At))
				}
			}
			return 0, nil
		})
	if err != nil {
		return err
	}
	return l.jobs(c, list, "WHEN", int64(t.Matched))
}
