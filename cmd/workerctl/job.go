package main

import (
	"context"
	"errors"
	"slices"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// jobCommand says all about one job.
func (c *call) jobCommand() *cobra.Command {
	cmd := c.spreading(one, "job JID", "where a job is, and why it does not run", runJob)
	cmd.Long = "where a job is, why it does not run, and what to do about it; it reads all jobs\n" +
		"until it finds this one"
	cmd.Example = "workerctl job " + sampleJID
	cmd.Args = checked(func(words []string) error {
		if len(words) != 1 {
			return errors.New("want one JID")
		}
		return nil
	})
	c.watchable(cmd)
	return cmd
}

// answer is the JSON of the command.
type answer struct {
	row
	Place   inspect.Place    `json:"place"`
	Reasons []inspect.Reason `json:"reasons"`
}

func runJob(ctx context.Context, c *call, words []string) error {
	p, j, err := c.inspector.Locate(ctx, words[0])
	if err != nil {
		return err
	}
	reasons, err := c.explain(ctx, p, j)
	if err != nil {
		return err
	}
	r := newRow(j.Raw(), j, p.At)
	if c.json() {
		return c.print(answer{r, p, append([]inspect.Reason{}, reasons...)})
	}
	return printJob(c, r, p, reasons)
}

// explain says why a job is where it is, what keeps its lane, and which of its locks other jobs
// hold.
func (c *call) explain(ctx context.Context, p inspect.Place, j *queue.Job) ([]inspect.Reason,
	error) {
	reasons, err := c.inspector.Explain(ctx, p, j)
	if err != nil {
		return nil, err
	}
	lane, err := lanes.Control{Store: c.store}.Explain(ctx, p)
	if err != nil {
		return nil, err
	}
	locks, err := unique.NewLocks(c.store).Explain(ctx, j)
	return slices.Concat(reasons, lane, locks), err
}

// explainIn is explain for a job of a shard.
func (c *call) explainIn(ctx context.Context, m *inspect.Member, p inspect.Place,
	j *queue.Job) ([]inspect.Reason, error) {
	other := *c
	other.at(m)
	return other.explain(ctx, p, j)
}

func printJob(c *call, r row, p inspect.Place, reasons []inspect.Reason) error {
	t := c.table()
	t.row("job", r.JID)
	t.row("class", r.Class)
	t.row("args", string(r.Args))
	where := string(p.Kind)
	switch {
	case p.Kind == inspect.InQueue:
		where = "in the queue " + p.Queue
	case p.Kind == inspect.InLane:
		where = placeText(p)
	case p.Process != "":
		where += ", from the queue " + p.Queue
	}
	t.row("where", where)
	for i, reason := range reasons {
		title := ""
		if i == 0 {
			title = "why"
		}
		t.row(title, reason.Text)
		if reason.Do != "" {
			t.row("", "→ "+reason.Do)
		}
	}
	return t.Flush()
}
