package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

func (c *call) explainCommand() *cobra.Command {
	cmd := c.command("explain [QUEUE]", "what each queue gets of the threads, and why", explain)
	cmd.Long = "what each queue gets of the threads of each process, and why: by strict order,\n" +
		"by weights, and by floors (-q pull,floor=5%,max=3,late=60s). Quiet processes are\n" +
		"left out"
	cmd.Example = "workerctl explain\nworkerctl explain pull"
	cmd.Args = cobra.MaximumNArgs(1)
	c.completes(cmd, firstWord(queueNames))
	c.watchable(cmd)
	return cmd
}

func explain(ctx context.Context, c *call, words []string) error {
	orders, err := c.inspector.Orders(ctx)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		if orders = onlyQueue(orders, words[0]); len(orders) == 0 {
			err := fmt.Errorf("no process takes jobs of the queue %s: %w", words[0],
				queue.ErrNotFound)
			return c.withNames(ctx, err, words[0], allQueues)
		}
	}
	if c.json() {
		return c.print(append([]inspect.Order{}, orders...))
	}
	t := c.table()
	t.row("PROCESS", "CAPSULE", "THREADS", "ORDER", "QUEUE", "WAITING", "OLDEST", "GETS")
	for _, o := range orders {
		for _, q := range o.Queues {
			t.row(o.Process, o.Capsule, o.Threads, o.Mode, q.Queue, q.Waiting, age(q.Oldest),
				q.Gets)
		}
	}
	return t.Flush()
}

// onlyQueue leaves out all queues but one.
func onlyQueue(orders []inspect.Order, name string) (list []inspect.Order) {
	for _, o := range orders {
		o.Queues = slices.DeleteFunc(o.Queues,
			func(q inspect.QueueOrder) bool { return q.Queue != name })
		if len(o.Queues) > 0 {
			list = append(list, o)
		}
	}
	return list
}
