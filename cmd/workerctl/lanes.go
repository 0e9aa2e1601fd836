package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
)

// laneCommand is the command lanes, and those below it.
type laneCommand struct {
	question
	limit limit
	span  time.Duration // of close
	force bool          // of set
}

func (c *call) lanesCommand() *cobra.Command {
	l := &laneCommand{}
	cmd := c.command("lanes [QUEUE]", "queues with lanes: limits by key; set, close, drain them",
		l.run)
	cmd.Long = "the queues whose jobs have lanes, with their rules, or the lanes of one queue,\n" +
		"those with the most parked jobs at first (docs/lanes.md)"
	cmd.Example = "workerctl lanes\nworkerctl lanes push --limit 50"
	cmd.Args = checked(func(words []string) error {
		if len(words) > 1 {
			return fmt.Errorf("%q: %swant one queue", words, didYouMean(cmd, words[0]))
		}
		return nil
	})
	c.completes(cmd, firstWord(lanedQueues))
	l.limit.flags(cmd.Flags(), pageSize)
	c.watchable(cmd)
	cmd.AddCommand(l.setCommand(c), l.closeCommand(c),
		l.verb(c, "open QUEUE LANE", "let the jobs of a closed lane run",
			"open push mastodon.social", l.open),
		l.drainCommand(c),
		l.verb(c, "forget QUEUE", "remove the rule of a queue whose lanes are off and empty",
			"forget push", l.forget),
		l.verb(c, "repair QUEUE", "count anew which jobs run, if lanes wait for jobs that do not",
			"repair push", l.repair))
	return cmd
}

// laneRunner is what a command below lanes does.
type laneRunner func(ctx context.Context, c *call, control lanes.Control, words []string) error

// verb makes a command below lanes. Its words are those of use.
func (l *laneCommand) verb(c *call, use, summary, example string, do laneRunner) *cobra.Command {
	cmd := c.command(use, summary, func(ctx context.Context, c *call, words []string) error {
		err := do(ctx, c, lanes.Control{Store: c.store}, words)
		if errors.Is(err, lanes.ErrNoRule) {
			return c.noLanes(ctx, err, words[0])
		}
		return err
	})
	cmd.Example = "workerctl lanes " + example
	want := strings.Fields(use)[1:]
	cmd.Args = checked(func(words []string) error {
		if len(words) != len(want) {
			return fmt.Errorf("want %s", strings.Join(want, " "))
		}
		return checkQueue(words[0])
	})
	c.completes(cmd, laneWords(len(want)))
	return cmd
}

func (l *laneCommand) setCommand(c *call) *cobra.Command {
	cmd := l.verb(c, "set QUEUE RULE", "give a queue a rule, and turn its lanes on",
		"set push key=args.2|host,max=8,rate=20/s,burst=40", l.set)
	cmd.Long = "give a queue a rule, and turn its lanes on. The rule is a list of settings with\n" +
		"commas: key=PATH, max=N jobs of a lane at once, total=N of the queue, rate=N/s\n" +
		"(or m, h, d) with burst=N, weight.LANE=N, beside-ruby. It replaces the rule that\n" +
		"is there, also the one of a worker's configuration (docs/lanes.md)"
	c.completes(cmd, firstWord(queueNames))
	cmd.Flags().BoolVar(&l.force, "force", false,
		"also for a queue into which no job was pushed yet")
	return cmd
}

func (l *laneCommand) closeCommand(c *call) *cobra.Command {
	cmd := l.verb(c, "close QUEUE LANE", "let no job of a lane begin for some time",
		"close push mastodon.social --for 10m", l.close)
	cmd.Flags().DurationVar(&l.span, "for", 10*time.Minute, "open it again after `DURATION`")
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if l.span < time.Millisecond {
			return usageError{pathOf(cmd), errors.New("--for: want more than 0")}
		}
		return args(cmd, words)
	}
	return cmd
}

func (l *laneCommand) drainCommand(c *call) *cobra.Command {
	cmd := l.verb(c, "drain QUEUE", "turn the lanes of a queue off, and put its parked jobs back",
		"drain push --yes", l.drain)
	cmd.Long = "turn the lanes of a queue off, and put its parked jobs back into the queue,\n" +
		"where any process takes them without limits, Ruby's too; lanes set turns them on again"
	l.question.flags(cmd.Flags())
	return cmd
}

// noLanes adds to the error of a queue without lanes those that have some.
func (c *call) noLanes(ctx context.Context, err error, name string) error {
	return c.withNames(ctx, fmt.Errorf("%w: %w", queue.ErrNotFound, err), name, lanedQueues)
}

func (l *laneCommand) run(ctx context.Context, c *call, words []string) error {
	control := lanes.Control{Store: c.store}
	if len(words) == 1 {
		err := l.ofQueue(ctx, c, control, words[0])
		if errors.Is(err, lanes.ErrNoRule) {
			return c.noLanes(ctx, err, words[0])
		}
		return err
	}
	names, err := control.Queues(ctx)
	if err != nil {
		return err
	}
	list := []lanes.Status{}
	for _, name := range names {
		s, err := control.Status(ctx, name)
		if errors.Is(err, lanes.ErrNoRule) {
			continue // it was just forgotten
		}
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	return atMost(c, l.limit, list, c.printLaned)
}

func (c *call) printLaned(list []lanes.Status) error {
	if c.json() {
		return c.print(list)
	}
	t := c.table()
	t.row("QUEUE", "STATE", "RUNNING", "PARKED", "READY", "FULL", "CLOSED", "BY", "RULE")
	for _, s := range list {
		t.row(s.Queue, laneState(s), s.Running, s.Parked, s.Ready, s.Full, s.Closed, s.Origin,
			s.Rule)
	}
	return t.Flush()
}

// laneState is on, or why lanes are off.
func laneState(s lanes.Status) string {
	if s.Beside != "" && !s.Off() {
		return "off beside Ruby"
	}
	if s.Suspended > 0 && !s.Off() {
		return "off for an operation"
	}
	return s.State
}

// ofQueue prints the lanes of a queue.
func (l *laneCommand) ofQueue(ctx context.Context, c *call, control lanes.Control,
	name string) error {
	s, err := control.Status(ctx, name)
	if err != nil {
		return err
	}
	list, err := control.Largest(ctx, name, int(l.limit))
	if err != nil {
		return err
	}
	if c.json() {
		return c.print(struct {
			lanes.Status
			Lanes []lanes.Lane `json:"lanes"`
		}{s, append([]lanes.Lane{}, list...)})
	}
	if err := c.printLaned([]lanes.Status{s}); err != nil {
		return err
	}
	if s.Beside != "" {
		fmt.Fprintf(c.out, "lanes are off because a process of Ruby's serves the queue: %s\n",
			s.Beside)
	}
	fmt.Fprintln(c.out)
	t := c.table()
	t.row("LANE", "STATE", "PARKED", "RUNNING", "OLDEST", "OPENS IN", "WEIGHT")
	for _, lane := range list {
		opens, weight := "", ""
		if lane.State == lanes.Closed {
			opens = age(lane.Opens.Seconds())
		}
		if lane.Weight > 0 {
			weight = fmt.Sprint(lane.Weight)
		}
		t.row(lane.Name, lane.State, lane.Parked, lane.Running, age(lane.Waited.Seconds()), opens,
			weight)
	}
	return t.Flush()
}
