package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

// call is one call of the program: its streams, its environment, and its Redis.
type call struct {
	in          io.Reader
	out, errOut io.Writer
	env         *env.Reader
	version     bool     // print the version and exit
	form        form     // of what is printed
	columns     int      // of the terminal; 0 if out is none
	every       seconds  // between two looks of --watch; 0: one look
	did         []string // what was done, if it is to be printed as JSON
	as          string   // the person, for the audit; "": the user
	path        string   // the words of the command
	only        string   // the name of the only shard that is asked; "": all
	changes     bool     // the command is wrong if it does not reach all shards
	answers     *bufio.Reader

	fleet *inspect.Fleet // nil for commands that run without Redis
	// The shard that is asked now, and its Store and Inspector. They are nil between the shards of
	// a command that asks several.
	shard     *inspect.Member
	store     *queue.Store
	inspector *inspect.Inspector
	rec       *recorder // keeps what is printed of several shards, or nil
}

// open connects to the shards that the environment names, or to the one of --shard. The caller
// calls close if there is no error.
func (c *call) open(ctx context.Context) error {
	list, err := c.shardsFromEnv()
	if err != nil {
		return usageError{"", err}
	}
	return c.openShards(ctx, list)
}

// shardsFromEnv reads where the shards are.
func (c *call) shardsFromEnv() ([]queue.ShardConfig, error) {
	list := queue.ShardsFromEnv(c.env)
	if err := c.env.Err(); err != nil || c.only == "" {
		return list, err
	}
	var names []string
	for _, s := range list {
		if s.Name == c.only {
			return []queue.ShardConfig{s}, nil
		}
		names = append(names, s.Name)
	}
	if list[0].Name == "" {
		return nil, fmt.Errorf("--shard %s: there is one Redis, without a name, because "+
			"KYU_SHARDS "+
			"is not set", c.only)
	}
	return nil, fmt.Errorf("--shard %s: KYU_SHARDS has %s", c.only, strings.Join(names, ", "))
}

// newShards returns the shards with all capabilities: a job is deleted and moved with its locks,
// and with what a schedule notes of it.
func newShards(list []queue.ShardConfig) (*queue.Shards, error) {
	for i := range list {
		list[i].Config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability(),
			lanes.Capability()}
	}
	return queue.NewShards(list)
}

func (c *call) openShards(ctx context.Context, list []queue.ShardConfig) error {
	shards, err := newShards(list)
	if err != nil {
		return err
	}
	fleet := inspect.NewFleet(shards)
	if err := fleet.Connect(ctx); err != nil {
		shards.Close()
		return err
	}
	if c.fleet = fleet; !fleet.Several() {
		c.at(fleet.Members()[0])
	}
	return nil
}

// close closes the connections.
func (c *call) close() error { return c.fleet.Shards().Close() }

// question is the flag of commands that ask before a step that cannot be undone.
type question struct{ yes bool }

func (q *question) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.yes, "yes", false, "do not ask before a step that cannot be undone")
}

// ask returns nil if the answer is yes.
func (q *question) ask(c *call, text string) error {
	return q.askGently(c, text, "This cannot be undone.")
}

// askGently is ask with another warning.
func (q *question) askGently(c *call, text, warning string) error {
	if q.yes {
		return nil
	}
	to := c.out
	if c.rec != nil { // what was printed so far is what the question is about
		if err := c.rec.flush(); err != nil {
			return err
		}
		to, text = c.rec.out, "shard "+c.shard.Name+": "+text
	}
	if c.json() {
		to = c.errOut
	}
	fmt.Fprintf(to, "%s? %s [y/N] ", text, warning)
	if c.answers == nil {
		c.answers = bufio.NewReader(c.in)
	}
	line, _ := c.answers.ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}
