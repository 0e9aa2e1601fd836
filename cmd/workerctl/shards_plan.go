package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
)

// mostPlanned is the most shards that are planned: as many as a program may have.
const mostPlanned = 32

// shardsPlan is the command shards plan.
type shardsPlan struct{ shards int }

// shardsPlanCommand makes the command shards plan. It is local because the Redis of the environment
// may be a cluster without a tag, which no other command accepts.
func (c *call) shardsPlanCommand() *cobra.Command {
	p := new(shardsPlan)
	cmd := c.local("plan [URL]", "propose the tags of shards in a Redis Cluster", p.run)
	cmd.Long = "read which masters of a Redis Cluster have which slots, and propose shards that\n" +
		"are spread over the masters, as lines for the environment (docs/scaling.md). The URL\n" +
		"is that of any node; without it, that of the queues' Redis"
	cmd.Example = "workerctl shards plan redis://node1:6379 --shards 3"
	cmd.Args = checked(func(words []string) error {
		switch {
		case len(words) > 1:
			return fmt.Errorf("%q: want one URL", words)
		case p.shards < 1 || p.shards > mostPlanned:
			return fmt.Errorf("--shards %d: want 1 to %d", p.shards, mostPlanned)
		}
		return nil
	})
	cmd.Flags().IntVar(&p.shards, "shards", 1, "how many `SHARDS`")
	return cmd
}

func (p *shardsPlan) run(ctx context.Context, c *call, words []string) error {
	url, _ := c.env.Get("SIDEKIQ_REDIS_URL", "REDIS_URL")
	if len(words) > 0 {
		url = words[0]
	}
	if url == "" {
		return usageError{c.path, errors.New("want the URL of a node, or REDIS_URL in the " +
			"environment")}
	}
	config := queue.ClusterFromEnv(c.env, url)
	if err := c.env.Err(); err != nil {
		return usageError{c.path, err}
	}
	list, err := queue.PlanShards(ctx, config, p.shards)
	if err != nil {
		return err
	}
	if c.json() {
		return c.print(list)
	}
	return c.printPlanned(list)
}

// printPlanned prints planned shards as lines for the environment, with remarks.
func (c *call) printPlanned(list []queue.PlannedShard) error {
	var names []string
	hidden := false
	for i := range list {
		names = append(names, list[i].Name)
		hidden = hidden || strings.Contains(list[i].URL, ":***@")
	}
	if hidden {
		fmt.Fprintln(c.out, "# write the password in place of ***")
	}
	fmt.Fprintf(c.out, "KYU_SHARDS=\"%s\"\n", strings.Join(names, " "))
	for i := range list {
		p := &list[i]
		fmt.Fprintf(c.out, "# slot %d, on %s\n%s=%s\n", p.Slot, printable(p.Master),
			p.URLVariable(), printable(p.URL))
	}
	return nil
}
