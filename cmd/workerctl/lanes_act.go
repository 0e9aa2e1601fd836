package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/capability/lanes"
)

// set gives a queue a rule. It refuses one beside Ruby's processes, unless the rule allows it: they
// would turn the lanes off at once.
func (l *laneCommand) set(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	name := words[0]
	rule, err := lanes.ParseRule(words[1])
	if err != nil {
		return usageError{c.path, err}
	}
	info, err := c.inspector.Queue(ctx, name)
	if err == nil && !l.force {
		err = c.knownQueue(ctx, info)
	}
	if err != nil {
		return err
	}
	ruby, err := control.Ruby(ctx)
	if who := ruby[name]; err == nil && who != "" && !rule.BesideRuby {
		err = fmt.Errorf("a process of Ruby's serves the queue %s, and would not see parked jobs: "+
			"%s. Let only Kyu serve it, or add beside-ruby to the rule: Ruby then runs what is in "+
			"the list without limits", name, who)
	}
	if err != nil {
		return err
	}
	return c.acted(control.Set(ctx, name, rule), fmt.Sprintf("set the rule of %s: %s", name, rule))
}

func (l *laneCommand) close(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	return c.acted(control.Close(ctx, words[0], words[1], l.span),
		fmt.Sprintf("closed the lane %s of %s for %v", words[1], words[0], l.span))
}

func (l *laneCommand) open(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	return c.acted(control.Close(ctx, words[0], words[1], 0),
		fmt.Sprintf("opened the lane %s of %s", words[1], words[0]))
}

func (l *laneCommand) drain(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	s, err := control.Status(ctx, words[0])
	if err != nil {
		return err
	}
	if err := l.askGently(c, fmt.Sprintf("Turn the lanes of %s off, and put its %d parked jobs "+
		"back", words[0], s.Parked), "Its jobs then run without limits."); err != nil {
		return err
	}
	n, err := control.Drain(ctx, words[0])
	return c.acted(err, fmt.Sprintf("turned the lanes of %s off, and put %d jobs back", words[0],
		n))
}

func (l *laneCommand) forget(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	gone, err := control.Forget(ctx, words[0])
	if err == nil && !gone {
		err = errors.New("its lanes are on, or have jobs: workerctl lanes drain " + words[0] +
			" turns them off; then wait until its jobs have ended")
	}
	return c.acted(err, "removed the rule of "+words[0])
}

func (l *laneCommand) repair(ctx context.Context, c *call, control lanes.Control,
	words []string) error {
	leak, err := control.Repair(ctx, words[0])
	if err == nil && leak.None() {
		return c.done(nil, "The counts of "+words[0]+" are right.")
	}
	return c.acted(err, fmt.Sprintf("corrected the counts of %d lanes of %s: %d jobs did not run",
		leak.Lanes, words[0], max(leak.Jobs, leak.Places)))
}
