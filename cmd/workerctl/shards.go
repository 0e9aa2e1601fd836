package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
)

// shardsCommand is the command shards, and those below it.
func (c *call) shardsCommand() *cobra.Command {
	cmd := c.onShards("shards", "shards of KYU_SHARDS; add, drain, remove them", listShards)
	cmd.Long = "the shards of KYU_SHARDS, with their states and how many jobs each has\n" +
		"(docs/scaling.md)"
	cmd.Example = "workerctl shards\nworkerctl shards drain b --per-second 500"
	list := c.onShards("list", "the shards, their states and their jobs", listShards)
	list.Example = "workerctl shards list -o json"
	cmd.AddCommand(list,
		c.shardVerb("add NAME", "let clients place jobs in a shard", "add c", addShard),
		c.drainShardCommand(),
		c.shardVerb("activate NAME", "end a drain that was begun by mistake", "activate b",
			activateShard),
		c.shardVerb("remove NAME", "end the use of a shard that is drained", "remove b",
			removeShard),
		c.shardsPlanCommand())
	return cmd
}

// shardsRunner is what a command below shards does.
type shardsRunner func(ctx context.Context, c *call, shards *queue.Shards, words []string) error

// onShards makes a command that connects to all shards.
func (c *call) onShards(use, summary string, run shardsRunner) *cobra.Command {
	return c.local(use, summary, func(ctx context.Context, c *call, words []string) error {
		shards, err := c.connectShards(ctx)
		if err != nil {
			return err
		}
		defer shards.Close()
		return run(ctx, c, shards, words)
	})
}

// shardVerb makes a command about one shard.
func (c *call) shardVerb(use, summary, example string, run shardsRunner) *cobra.Command {
	cmd := c.onShards(use, summary, run)
	cmd.Example = "workerctl shards " + example
	cmd.Args = checked(func(words []string) error {
		if len(words) != 1 {
			return errors.New("want the name of one shard: `workerctl shards` lists them")
		}
		return nil
	})
	cmd.ValidArgsFunction = c.completeShards
	return cmd
}

// completeShards completes the names in KYU_SHARDS. It asks no Redis.
func (c *call) completeShards(_ *cobra.Command, words []string,
	prefix string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, s := range queue.ShardsFromEnv(c.env) {
		if strings.HasPrefix(s.Name, prefix) && s.Name != "" && len(words) == 0 {
			names = append(names, s.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// connectShards connects to the shards of KYU_SHARDS. Some of them may be away.
func (c *call) connectShards(ctx context.Context) (*queue.Shards, error) {
	list := queue.ShardsFromEnv(c.env)
	if err := c.env.Err(); err != nil {
		return nil, usageError{"", err}
	}
	if len(list) == 1 && list[0].Name == "" {
		return nil, usageError{"", errors.New("KYU_SHARDS is not set: there is one Redis, that " +
			"of REDIS_URL. docs/scaling.md says how to use several")}
	}
	shards, err := newShards(list)
	if err != nil {
		return nil, err
	}
	if err := shards.Connect(ctx); err != nil {
		shards.Close()
		return nil, err
	}
	return shards, nil
}

// theShard returns a shard that can be reached.
func theShard(shards *queue.Shards, name string) (queue.Shard, error) {
	s, known := shards.Get(name)
	switch {
	case !known:
		return s, fmt.Errorf("KYU_SHARDS has no shard %q: it has %s", name,
			strings.Join(shardNames(shards.List()), ", "))
	case !s.Store.Connected():
		return s, fmt.Errorf("the shard %s cannot be reached", name)
	}
	return s, nil
}

func shardNames(list []queue.Shard) (names []string) {
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names
}

// shardRow is what is printed of a shard.
type shardRow struct {
	Name    string           `json:"name"`
	Address string           `json:"address"`
	State   queue.ShardState `json:"state"`
	Away    string           `json:"away,omitempty"` // why it cannot be asked
	queue.ShardLoad
}

func listShards(ctx context.Context, c *call, shards *queue.Shards, _ []string) error {
	states, err := shards.States(ctx)
	if err != nil {
		return err
	}
	rows := []shardRow{}
	for _, s := range shards.List() {
		r := shardRow{Name: s.Name, Address: s.Store.DB().Addr, State: states.Of(s.Name)}
		if r.Away = "it cannot be reached"; s.Store.Connected() {
			r.Away = ""
			if r.ShardLoad, err = s.Store.Load(ctx); err != nil {
				r.Away = err.Error()
			}
		}
		rows = append(rows, r)
	}
	if c.json() {
		return c.print(rows)
	}
	t := c.table()
	t.row("NAME", "ADDRESS", "STATE", "WAITING", "SCHEDULED", "RETRY", "DEAD", "HELD", "MOVING",
		"IN FLIGHT", "AWAY")
	for _, r := range rows {
		t.row(r.Name, r.Address, r.State, r.Waiting+r.Operated, r.Scheduled, r.Retry, r.Dead,
			r.Held, r.Moving, r.InFlight, r.Away)
	}
	return t.Flush()
}

func addShard(ctx context.Context, c *call, shards *queue.Shards, words []string) error {
	s, err := theShard(shards, words[0])
	if err != nil {
		return err
	}
	states, err := shards.States(ctx)
	if err != nil {
		return err
	}
	if states.Of(s.Name) == queue.ShardDraining {
		return fmt.Errorf("the shard %s is draining: to end that, `workerctl shards activate %s`",
			s.Name, s.Name)
	}
	missing, err := notServing(ctx, shards, s)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("these processes serve other shards, and not %s: %s. Add %s to their "+
			"KYU_SHARDS and restart them first, or its jobs wait", s.Name,
			strings.Join(missing, ", "), s.Name)
	}
	return c.done(shards.SetState(ctx, s.Name, queue.ShardActive),
		fmt.Sprintf("%s is active: clients that have it in KYU_SHARDS place jobs there", s.Name))
}

// notServing returns the processes that serve another shard, and not s. One process has the same
// host and pid in each shard.
func notServing(ctx context.Context, shards *queue.Shards, s queue.Shard) ([]string, error) {
	here, err := s.Store.Serving(ctx)
	if err != nil {
		return nil, err
	}
	serves := map[string]bool{}
	for _, identity := range here {
		serves[processOf(identity)] = true
	}
	var missing []string
	for _, other := range shards.List() {
		if other.Name == s.Name || !other.Store.Connected() {
			continue
		}
		list, err := other.Store.Serving(ctx)
		if err != nil {
			return nil, err
		}
		for _, identity := range list {
			if p := processOf(identity); !serves[p] {
				serves[p], missing = true, append(missing, p)
			}
		}
	}
	return missing, nil
}

// processOf is the host and the pid of an identity, HOST:PID:NONCE.
func processOf(identity string) string {
	if at := strings.LastIndexByte(identity, ':'); at > 0 {
		return identity[:at]
	}
	return identity
}

func activateShard(ctx context.Context, c *call, shards *queue.Shards, words []string) error {
	s, err := theShard(shards, words[0])
	if err != nil {
		return err
	}
	err = shards.SetState(ctx, s.Name, queue.ShardActive)
	return c.done(err, fmt.Sprintf("%s is active. Jobs that have moved stay where they are; a "+
		"`shards drain %s` that still runs stops", s.Name, s.Name))
}

func removeShard(ctx context.Context, c *call, shards *queue.Shards, words []string) error {
	s, err := theShard(shards, words[0])
	if err != nil {
		return err
	}
	states, err := shards.States(ctx)
	if err != nil {
		return err
	}
	if state := states.Of(s.Name); state != queue.ShardDraining {
		return fmt.Errorf("the shard %s is %s: first `workerctl shards drain %s`", s.Name, state,
			s.Name)
	}
	if err := isEmpty(ctx, s); err != nil {
		return err
	}
	if list, err := s.Store.Serving(ctx); err != nil || len(list) > 0 {
		return errors.Join(err, fmt.Errorf("%d processes still serve the shard %s, such as %s: "+
			"take it out of their KYU_SHARDS, and of that of all clients, and restart them first",
			len(list), s.Name, strings.Join(list[:min(1, len(list))], "")))
	}
	return c.done(shards.SetState(ctx, s.Name, queue.ShardRemoved), fmt.Sprintf("%s is removed: "+
		"its Redis may be stopped when no KYU_SHARDS has the name. The counters and the history "+
		"of its jobs end with it", s.Name))
}

// isEmpty returns an error that says what is left in a shard.
func isEmpty(ctx context.Context, s queue.Shard) error {
	load, err := s.Store.Load(ctx)
	if err != nil {
		return err
	}
	if load.Total() > 0 {
		return fmt.Errorf("the shard %s is not empty: %v", s.Name, load)
	}
	strays, err := s.Store.Strays(ctx)
	if err == nil && len(strays) > 0 {
		err = fmt.Errorf("the shard %s is not empty: there are jobs in %s", s.Name,
			strings.Join(slices.Clip(strays), ", "))
	}
	return err
}
