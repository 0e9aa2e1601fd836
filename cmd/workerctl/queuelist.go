package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// queues is the command that lists the queues.
type queues struct{ limit limit }

func (c *call) queuesCommand() *cobra.Command {
	q := &queues{}
	cmd := c.spreading(once, "queues", "all queues, their processes, and how fast they empty",
		q.run)
	cmd.Long = "all queues: their jobs, how many of these are parked in lanes, the age of the\n" +
		"oldest, the processes and threads that serve them, how many threads run their\n" +
		"jobs, how many jobs workers of Kyu have, how many jobs come and go a second, and\n" +
		"when the queue is empty at this rate; -o wide has the names of the processes"
	cmd.Example = "workerctl queues\nworkerctl queues --watch"
	cmd.Args = checked(q.check)
	q.limit.flags(cmd.Flags(), 0)
	c.watchable(cmd)
	return cmd
}

func (q *queues) check(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("it takes no arguments: `workerctl queue %s` shows one queue", words[0])
	}
	return nil
}

func (q *queues) run(ctx context.Context, c *call, _ []string) error {
	list, away, err := c.fleet.QueueStatus(ctx)
	if err != nil {
		return err
	}
	return c.without(away, atMost(c, q.limit, list, c.printQueues))
}

// queueOut is a queue as JSON, with the word for its state.
type queueOut struct {
	inspect.FleetQueue
	State string `json:"state,omitempty"`
}

func (c *call) printQueues(list []inspect.FleetQueue) error {
	if c.json() {
		out := []queueOut{}
		for _, q := range list {
			out = append(out, queueOut{q, q.State()})
		}
		return c.print(out)
	}
	t := c.table()
	parked := slices.ContainsFunc(list, func(q inspect.FleetQueue) bool { return q.Parked > 0 })
	titles := []any{"QUEUE", "SIZE", "OLDEST", "STATE", "SERVED BY", "THREADS", "BUSY",
		"IN FLIGHT", "IN/S", "OUT/S", "EMPTY IN"}
	if c.form == wide {
		titles = append(titles, "PROCESSES")
		if c.several() {
			titles = append(titles, "SHARDS")
		}
	}
	if parked {
		titles = slices.Insert(titles, 2, any("PARKED"))
	}
	t.row(titles...)
	for _, q := range list {
		cells := []any{q.Name, q.Size, age(q.Latency), stateOf(q), len(q.Processes),
			q.Threads, q.Busy, q.InFlight, rateText(q.In), rateText(q.Out), emptyIn(q.QueueStatus)}
		if c.form == wide {
			cells = append(cells, strings.Join(q.Processes, " "))
			if c.several() {
				cells = append(cells, sizesOf(q))
			}
		}
		if parked {
			cells = slices.Insert(cells, 2, any(q.Parked))
		}
		t.row(cells...)
	}
	return t.Flush()
}

// stateOf is the state of a queue, and in which shards it is paused if not in all.
func stateOf(q inspect.FleetQueue) string {
	if in := q.PausedIn(); in != "" {
		return "paused in " + in
	}
	return q.State()
}

// sizesOf says how many jobs of the queue each shard has.
func sizesOf(q inspect.FleetQueue) string {
	var sizes []string
	for _, s := range q.Shards {
		sizes = append(sizes, fmt.Sprintf("%s=%d", s.Shard, s.Size))
	}
	return strings.Join(sizes, " ")
}

// unknown stands in a table for a number that is not known.
const unknown = "–"

// rateText is a rate, with two digits or more.
func rateText(rate *float64) string {
	switch {
	case rate == nil:
		return unknown
	case *rate < 10:
		return strconv.FormatFloat(*rate, 'f', 1, 64)
	}
	return strconv.FormatFloat(*rate, 'f', 0, 64)
}

// emptyIn is the time after which a queue is empty.
func emptyIn(q inspect.QueueStatus) string {
	switch {
	case q.Size == 0:
		return ""
	case q.In == nil:
		return unknown
	case q.Empty == nil:
		return "never"
	}
	return age(*q.Empty)
}
