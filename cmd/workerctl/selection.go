package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

// selection are the flags of commands that change the jobs that are named, or all.
type selection struct {
	question
	all bool
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.BoolVar(&s.all, "all", false, "all jobs")
	s.question.flags(f)
}

// check wants either names or --all.
func (s *selection) check(verb string, jids []string) error {
	if s.all == (len(jids) > 0) {
		return fmt.Errorf("%s: want JIDs, or --all", verb)
	}
	return nil
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
	if s.all {
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
		if err := c.done(err, to.verb+" "+jid); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) changeAll(ctx context.Context, c *call, to change) error {
	size, err := to.set.Size(ctx)
	if err != nil {
		return err
	}
	verb := strings.ToUpper(to.verb[:1]) + to.verb[1:]
	if err := s.ask(c, fmt.Sprintf("%s all %d jobs of %s", verb, size, to.name)); err != nil {
		return err
	}
	n, err := to.set.All(ctx, to.op)
	return c.done(err, fmt.Sprintf("%s: %d jobs", to.verb, n))
}
