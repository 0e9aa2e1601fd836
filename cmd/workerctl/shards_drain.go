package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

const (
	// shardWait is the time between two rounds of a drain that have moved nothing.
	shardWait = 500 * time.Millisecond
	// shardSay is the time between two lines about the progress.
	shardSay = 2 * time.Second
	// shardLate is how long a client may take to learn that a shard drains, and a little more:
	// until then new jobs may come.
	shardLate = 7 * time.Second
)

// shardDrain is the command shards drain.
type shardDrain struct {
	to   []string
	rate int

	shards *queue.Shards
	from   queue.Shard
	moved  int
	said   []string // what was told already
	last   time.Time
}

func (c *call) drainShardCommand() *cobra.Command {
	d := &shardDrain{}
	cmd := c.shardVerb("drain NAME", "move all jobs of a shard to the others",
		"drain b --per-second 500", d.run)
	cmd.Long = "move all jobs of a shard to the others, each once, with the same bytes, times.\n" +
		"New jobs go elsewhere from now on. Jobs in flight end where they are. It may be\n" +
		"killed at any moment: call it again, and it goes on. It ends when the shard is\n" +
		"empty. Counters, history and what deleted jobs could be restored from stay"
	cmd.Flags().StringSliceVar(&d.to, "into", nil, "move to the shards `NAME`,… alone; jobs with "+
		"locks go to the shards of their locks")
	cmd.Flags().IntVar(&d.rate, "per-second", 0, "move at most `N` jobs a second; 0: as fast as "+
		"it goes")
	if err := cmd.RegisterFlagCompletionFunc("into", c.completeShards); err != nil {
		panic(err) // the command has no such flag
	}
	args := cmd.Args
	cmd.Args = func(cmd *cobra.Command, words []string) error {
		if d.rate < 0 {
			return usageError{pathOf(cmd), errors.New("--per-second: want 0 or more")}
		}
		return args(cmd, words)
	}
	return cmd
}

func (d *shardDrain) run(ctx context.Context, c *call, shards *queue.Shards,
	words []string) (err error) {
	d.shards = shards
	if d.from, err = theShard(shards, words[0]); err != nil {
		return err
	}
	if err := d.begin(ctx, c); err != nil {
		return err
	}
	err = d.loop(ctx, c)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %d jobs have moved. No job is lost, and %s stays "+
			"draining: `workerctl shards drain %s` goes on, `workerctl shards activate %s` ends "+
			"the drain",
			d.moved, d.from.Name, d.from.Name, d.from.Name)
	}
	if err != nil {
		return err
	}
	return c.done(nil, fmt.Sprintf("%s is empty: %d jobs have moved. Take it out of the "+
		"KYU_SHARDS of all programs, and then: workerctl shards remove %s", d.from.Name, d.moved,
		d.from.Name))
}

// begin gives the shard its state. What is kept of schedules is carried over before, so that no
// slot is claimed twice.
func (d *shardDrain) begin(ctx context.Context, c *call) error {
	states, err := d.shards.States(ctx)
	if err != nil {
		return err
	}
	active := d.active(states)
	if len(active) == 0 {
		return fmt.Errorf("no other shard is active: its jobs could go nowhere")
	}
	for _, name := range d.to {
		if !slices.Contains(shardNames(active), name) {
			return fmt.Errorf("--into %s: want active shards other than %s: %s", name, d.from.Name,
				strings.Join(shardNames(active), ", "))
		}
	}
	d.trash(ctx, c)
	said, err := queue.CarryRest(ctx, d.from, active)
	d.say(c, said...)
	if err != nil {
		return err
	}
	if states.Of(d.from.Name) == queue.ShardDraining {
		return nil
	}
	return d.shards.SetState(ctx, d.from.Name, queue.ShardDraining)
}

// active are the active shards but the one that is drained.
func (d *shardDrain) active(states queue.ShardStates) (list []queue.Shard) {
	for _, s := range d.shards.List() {
		if s.Name != d.from.Name && states.Of(s.Name) == queue.ShardActive {
			list = append(list, s)
		}
	}
	return list
}

// mover returns the mover of a round.
func (d *shardDrain) mover(m *queue.Mover, states queue.ShardStates) {
	m.Active = d.active(states)
	m.To, m.Others = nil, nil
	for _, s := range d.shards.List() {
		if s.Name != d.from.Name {
			m.Others = append(m.Others, s)
		}
	}
	for _, s := range m.Active {
		if len(d.to) == 0 || slices.Contains(d.to, s.Name) {
			m.To = append(m.To, s)
		}
	}
}

// loop moves jobs until the shard is empty, and no client can have missed that it drains.
func (d *shardDrain) loop(ctx context.Context, c *call) error {
	m, began := &queue.Mover{From: d.from, Rate: d.rate}, time.Now()
	for {
		states, err := d.shards.States(ctx)
		if err != nil {
			return err
		}
		if states.Of(d.from.Name) != queue.ShardDraining {
			return fmt.Errorf("%s is %s now: another person has ended the drain", d.from.Name,
				states.Of(d.from.Name))
		}
		if len(d.shards.Away()) > 0 {
			_ = d.shards.Connect(ctx) // a shard that is still away is told by the round
		}
		d.mover(m, states)
		round, err := m.Round(ctx)
		d.moved += round.Moved
		if err != nil {
			return err
		}
		d.say(c, round.Waits...)
		load, err := d.from.Store.Load(ctx)
		if err != nil {
			return err
		}
		d.progress(c, load)
		if round.Moved > 0 {
			continue
		}
		if load.Total() == 0 && time.Since(began) > shardLate {
			return d.end(ctx, c, m)
		}
		if err := pause(ctx, shardWait); err != nil {
			return err
		}
	}
}

// end carries over once more what may have changed, and looks for jobs where nobody looked.
func (d *shardDrain) end(ctx context.Context, c *call, m *queue.Mover) error {
	said, err := queue.CarryRest(ctx, d.from, m.Active)
	d.say(c, said...)
	return errors.Join(err, isEmpty(ctx, d.from))
}

// say prints what a person must know, each once.
func (d *shardDrain) say(c *call, lines ...string) {
	for _, line := range lines {
		if !slices.Contains(d.said, line) {
			d.said = append(d.said, line)
			fmt.Fprintln(c.progress(), line)
		}
	}
}

func (d *shardDrain) progress(c *call, load queue.ShardLoad) {
	if time.Since(d.last) < shardSay {
		return
	}
	d.last = time.Now()
	fmt.Fprintf(c.progress(), "%d jobs have moved; left in %s: %v\n", d.moved, d.from.Name, load)
}

// trash warns of deleted jobs that could still be restored.
func (d *shardDrain) trash(ctx context.Context, c *call) {
	list, err := inspect.New(d.from.Store).Operations(ctx, 1000)
	if err != nil {
		return // the drain says what is wrong with the shard
	}
	for _, o := range list {
		key := d.from.Store.Keys().Trash(o.ID)
		left, err := d.from.Store.DB().Shared.TTL(ctx, key).Result()
		if err == nil && left > 0 {
			d.say(c, fmt.Sprintf("the jobs that operation %s deleted do not move: until %s they "+
				"can be restored here with REDIS_URL=the URL of %s workerctl undo %s", o.ID,
				time.Now().Add(left).Format(time.DateTime), d.from.Name, o.ID))
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
