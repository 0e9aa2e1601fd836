package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// selection are the flags of commands that list or change jobs: those that are named, those that a
// filter chooses, or all.
type selection struct {
	question
	all    bool
	dryRun bool
	noUndo bool
	to     string // the queue of the verb move
	force  bool   // to is a queue that nobody knows yet
	where  string
	filter inspect.Filter // of where; check reads it
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.all, "all", false, "all jobs")
	s.filterFlag(f)
	f.BoolVar(&s.dryRun, "dry-run", false, "with --filter or --all: only count the jobs")
	s.question.flags(f)
}

// verbFlags adds the flags of one verb.
func (s *selection) verbFlags(c *call, cmd *cobra.Command, verb queue.Verb) {
	f := cmd.Flags()
	switch verb {
	case queue.VerbDelete:
		f.BoolVar(&s.noUndo, "no-undo", false, "do not keep the jobs in the trash for a day: "+
			"Redis has their memory back at once")
	case queue.VerbMove:
		f.StringVar(&s.to, "to", "", "the `QUEUE` to which the jobs go")
		f.BoolVar(&s.force, "force", false, "move to a queue that no process serves and that "+
			"never had a job")
		c.completesFlag(cmd, "to", queueNames)
	}
	s.flags(f)
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

// checkMove wants a queue.
func (s *selection) checkMove(verb string, jids []string) error {
	if s.to == "" {
		return fmt.Errorf("%s: want --to QUEUE", verb)
	}
	return errors.Join(checkQueue(s.to), s.check(verb, jids))
}

// source is where the jobs of a change are: a set or a queue.
type source struct {
	name  string // for people: retries, the queue push
	verb  string // for people, if it is not the operation's: release
	open  func(*inspect.Inspector) *inspect.JobSet
	queue string // if open is nil
}

// in is the name of the source in the shard that is asked.
func (from source) in(c *call) string {
	if name := c.shardName(); name != "" {
		return from.name + " in shard " + name
	}
	return from.name
}

// change carries out a verb on the jobs of a source, in each shard. Jobs that are named may be in
// any of them.
func (s *selection) change(ctx context.Context, c *call, from source, verb queue.Verb,
	jids []string) error {
	r := inspect.Request{Verb: verb, Queue: from.queue, To: s.to, Filter: s.filter, JIDs: jids}
	if s.noUndo {
		r.Verb = queue.VerbForget
	}
	if err := s.checkTarget(ctx, c); err != nil {
		return err
	}
	// Each shard has its own clock.
	asOf, away, err := inspect.Each(ctx, c.fleet, func(ctx context.Context,
		m *inspect.Member) (time.Time, error) {
		return m.Now(ctx)
	})
	if err != nil {
		return err
	}
	if len(jids) == 0 && (!s.yes || s.dryRun) {
		if asked, err := s.confirm(ctx, c, from, verb, asOf); !asked || err != nil {
			return c.complete(away, err)
		}
	}
	changed := 0
	for _, of := range asOf {
		if len(jids) > 0 && len(r.JIDs) == 0 {
			break // all were found
		}
		c.at(of.Member)
		r.AsOf = of.Value
		o, err := c.operate(ctx, from, r)
		if err != nil {
			return inShard(of.Member, err)
		}
		changed += o.Changed
		r.JIDs = o.Missing()
	}
	if n := len(jids); changed < n {
		err = fmt.Errorf("%d of the %d jobs: %w in %s: %s", n-changed, n, queue.ErrNotFound,
			from.name, strings.Join(r.JIDs, ", "))
	}
	if len(jids) > 0 && err == nil {
		return nil // no other shard matters
	}
	return c.complete(away, err)
}

// confirm counts the jobs and asks. It returns false if nothing is to be done.
func (s *selection) confirm(ctx context.Context, c *call, from source, verb queue.Verb,
	asOf []inspect.Of[time.Time]) (bool, error) {
	var found inspect.Tally
	for _, of := range asOf {
		t, err := from.count(ctx, of.Member, s.filter, of.Value)
		if err != nil {
			return false, inShard(of.Member, err)
		}
		found.Seen, found.Matched = found.Seen+t.Seen, found.Matched+t.Matched
	}
	jobs := fmt.Sprintf("%d of the %d jobs of %s", found.Matched, found.Seen, from.name)
	if s.all {
		jobs = fmt.Sprintf("all %d jobs of %s", found.Matched, from.name)
	}
	if s.dryRun {
		return false, c.done(nil, fmt.Sprintf("%s would change %s", cmp.Or(from.verb, string(verb)),
			jobs))
	}
	step := capital(cmp.Or(from.verb, string(verb))) + " " + jobs
	if s.to != "" {
		step += " to the queue " + s.to
	}
	if verb == queue.VerbDelete && !s.noUndo {
		return true, s.askGently(c, step, "It can be undone for a day.")
	}
	return true, s.ask(c, step)
}

// count counts the jobs that a filter chooses.
func (from source) count(ctx context.Context, m *inspect.Member, f inspect.Filter,
	asOf time.Time) (inspect.Tally, error) {
	if from.open != nil {
		return from.open(m.Inspector).Search(ctx, f, asOf, nil)
	}
	t, err := m.QueueWhere(ctx, from.queue, f, asOf, nil)
	return t.Tally, err
}

// show lists the jobs of a set, or those that the filter chooses.
func (s *selection) show(ctx context.Context, c *call,
	open func(*inspect.Inspector) *inspect.JobSet, l *listing) (err error) {
	set, p := c.fleet.Set(open), inspect.FleetPage{}
	if s.where == "" {
		p, err = set.Page(ctx, l.offset(), int64(l.limit))
	} else {
		p, err = set.Search(ctx, s.filter, time.Now(), l.offset(), int64(l.limit))
	}
	if err != nil {
		return err
	}
	var list []row
	for _, e := range p.Entries {
		r := newRow(e.Raw, e.Job, e.At)
		if c.several() {
			r.Shard = e.Shard
		}
		list = append(list, r)
	}
	return c.without(p.Away, l.jobs(c, list, "WHEN", p.Total))
}
