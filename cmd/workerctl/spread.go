package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// spread says how a command goes about several shards. With one shard it runs once, as it is.
type spread func(ctx context.Context, c *call, run runner, words []string) error

// at makes a shard the one that a command asks.
func (c *call) at(m *inspect.Member) {
	c.shard, c.store, c.inspector = m, m.Store, m.Inspector
}

// several reports whether the command asks more than one shard.
func (c *call) several() bool { return c.fleet != nil && c.fleet.Several() }

// spreading makes a command that asks Redis, in one of the ways below if there are several shards.
func (c *call) spreading(way spread, use, summary string, run runner) *cobra.Command {
	var cmd *cobra.Command
	cmd = c.local(use, summary, func(ctx context.Context, c *call, words []string) error {
		if err := c.open(ctx); err != nil {
			return err
		}
		defer c.close()
		c.changes = cmd.Flags().Lookup("watch") == nil
		return c.watch(ctx, func() error {
			if !c.several() {
				return run(ctx, c, words)
			}
			return way(ctx, c, run, words)
		})
	})
	return cmd
}

// once is the way of a command that knows the fleet by itself.
func once(ctx context.Context, c *call, run runner, words []string) error {
	return run(ctx, c, words)
}

// each runs the command in each shard, and prints what it printed as one: tables have the column
// SHARD, JSON the field "shard". A shard that does not have what is meant does not count, if
// another one has it.
func each(ctx context.Context, c *call, run runner, words []string) error {
	here, away := c.fleet.Here(ctx)
	rec := newRecorder(c)
	defer rec.end(c)
	var failed, missing error
	done := false
	for _, m := range here {
		c.at(m)
		rec.begin(m.Name)
		err := run(ctx, c, words)
		switch {
		case err == nil:
			done = true
		case errors.Is(err, queue.ErrNotFound):
			missing = cmp.Or(missing, err)
		default:
			failed = errors.Join(failed, inShard(m, err))
		}
	}
	if failed == nil && !done {
		failed = missing
	}
	if err := rec.flush(); err != nil {
		return err
	}
	return c.without(away, failed)
}

// one runs the command in one shard after another, until one has what is meant.
func one(ctx context.Context, c *call, run runner, words []string) error {
	rec := newRecorder(c)
	defer rec.end(c)
	_, err := c.fleet.One(ctx, func(ctx context.Context, m *inspect.Member) error {
		c.at(m)
		rec.begin(m.Name)
		err := run(ctx, c, words)
		if !errors.Is(err, queue.ErrNotFound) {
			err = errors.Join(inShard(m, err), rec.flush())
		}
		return err
	})
	return err
}

// perWord makes a way that goes each word by itself.
func perWord(way spread) spread {
	return func(ctx context.Context, c *call, run runner, words []string) error {
		var errs []error
		for _, word := range words {
			errs = append(errs, way(ctx, c, run, []string{word}))
		}
		return errors.Join(errs...)
	}
}

// chosen is the way of a command that has to be told a shard.
func chosen(_ context.Context, c *call, _ runner, _ []string) error {
	return usageError{c.path, fmt.Errorf("there are several shards: give --shard with one of %s",
		strings.Join(c.shardNames(), ", "))}
}

// shardNames are the names of the shards that are asked.
func (c *call) shardNames() (names []string) {
	for _, m := range c.fleet.Members() {
		names = append(names, m.Name)
	}
	return names
}

// inShard puts the name of the shard before an error, but not before a verdict.
func inShard(m *inspect.Member, err error) error {
	var code exitCode
	if err == nil || m.Name == "" || errors.As(err, &code) {
		return err
	}
	return fmt.Errorf("shard %s: %w", m.Name, err)
}

// without says which shards are away. A command that changes something has failed then: it did not
// reach all.
func (c *call) without(away []inspect.Away, err error) error {
	for _, a := range away {
		fmt.Fprintf(c.errOut, "workerctl: %s\n", printable(a.String()))
	}
	if err == nil && len(away) > 0 && c.changes {
		return exitCode(1)
	}
	return err
}

// complete is without for a command whose answer counts only if it is about all shards.
func (c *call) complete(away []inspect.Away, err error) error {
	c.changes = true
	return c.without(away, err)
}

// shardName is the name of the shard that is asked; "" with one shard.
func (c *call) shardName() string {
	if c.shard == nil || !c.several() {
		return ""
	}
	return c.shard.Name
}
