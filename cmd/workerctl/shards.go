package main

import (
	"context"

	"github.com/spf13/cobra"
)

// shardsCommand is the command shards, and those below it.
func (c *call) shardsCommand() *cobra.Command {
	cmd := c.local("shards", "shards of KYU_SHARDS; add, drain, remove them",
		func(ctx context.Context, c *call, _ []string) error {
			return (&shardsPlan{1}).run(ctx, c, nil)
		})
	cmd.Long = "shards in a Redis Cluster (docs/scaling.md)"
	cmd.Example = "workerctl shards plan --shards 3"
	cmd.AddCommand(c.shardsPlanCommand())
	return cmd
}
