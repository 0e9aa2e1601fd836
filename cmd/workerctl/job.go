package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// job is the command for one job.
type job struct{ output }

func jobCommand() command {
	o := &job{}
	return command{name: "job", summary: "where a job is, and why it does not run",
		forms: []form{{"JID", "where a job is, why it does not run, and what to do about it"}},
		flags: o.output.flags, check: o.check, run: o.run}
}

func (o *job) check(words []string) error {
	if len(words) != 1 {
		return errors.New("want one JID")
	}
	return nil
}

// answer is the JSON of the command.
type answer struct {
	row
	Place   inspect.Place    `json:"place"`
	Reasons []inspect.Reason `json:"reasons"`
}

func (o *job) run(ctx context.Context, c *call, words []string) error {
	p, j, err := c.inspector.Locate(ctx, words[0])
	if err != nil {
		return err
	}
	reasons, err := c.inspector.Explain(ctx, p, j)
	if err != nil {
		return err
	}
	locks, err := unique.NewLocks(c.store).Of(ctx, j)
	if err != nil {
		return err
	}
	for _, lock := range locks {
		reasons = append(reasons, explainLock(lock, j))
	}
	r := newRow(j.Raw(), j, p.At)
	if o.json {
		return c.print(answer{r, p, append([]inspect.Reason{}, reasons...)})
	}
	return o.print(c, r, p, reasons)
}

// explainLock says who holds a lock that the job names.
func explainLock(lock unique.Held, j *queue.Job) inspect.Reason {
	for _, h := range lock.Holders {
		if h.JID == j.JID {
			return inspect.Reason{Text: "it holds the lock " + lock.Digest}
		}
	}
	holder := lock.Holders[0].JID
	return inspect.Reason{Text: fmt.Sprintf("job %s holds its lock %s", holder, lock.Digest),
		Do: "workerctl job " + holder}
}

func (o *job) print(c *call, r row, p inspect.Place, reasons []inspect.Reason) error {
	t := c.table()
	t.row("job", r.JID)
	t.row("class", r.Class)
	t.row("args", short(string(r.Args), 60))
	where := string(p.Kind)
	switch {
	case p.Kind == inspect.InQueue:
		where = "in the queue " + p.Queue
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
