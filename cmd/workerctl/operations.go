package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// operations is the command that lists bulk operations.
type operations struct{ limit limit }

// sampleOperation stands for an operation in the examples of the help.
const sampleOperation = "k3v7qm2xwa"

func (c *call) operationsCommand() *cobra.Command {
	o := &operations{}
	cmd := c.command("operations", "bulk operations; go on with one, cancel one", o.run)
	cmd.Long = "the retries, kills, deletions and moves of jobs of the last seven days, the\n" +
		"latest first"
	cmd.Example = "workerctl operations"
	o.limit.flags(cmd.Flags(), pageSize)
	c.watchable(cmd)
	resume := c.spreading(one, "resume ID", "go on with an operation whose process has stopped",
		o.resume)
	resume.Example = "workerctl operations resume " + sampleOperation
	cancel := c.spreading(one, "cancel ID", "stop an operation; what it has changed stays changed",
		o.cancel)
	cancel.Example = "workerctl operations cancel " + sampleOperation
	for _, below := range []*cobra.Command{resume, cancel} {
		below.Args = checked(oneOperation)
		c.completes(below, firstWord(operationIDs))
	}
	cmd.AddCommand(resume, cancel)
	return cmd
}

func (c *call) undoCommand() *cobra.Command {
	cmd := c.spreading(one, "undo ID", "put the jobs back that an operation deleted", runUndo)
	cmd.Long = "put the jobs back that an operation deleted, with the same bytes. Deleted jobs\n" +
		"are kept for a day. `workerctl operations` lists the operations"
	cmd.Example = "workerctl undo " + sampleOperation
	cmd.Args = checked(oneOperation)
	c.completes(cmd, firstWord(deletions))
	return cmd
}

func oneOperation(words []string) error {
	if len(words) != 1 {
		return fmt.Errorf("want the ID of one operation: `workerctl operations` lists them")
	}
	return nil
}

func (o *operations) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.inspector.Operations(ctx, int64(o.limit))
	if err != nil {
		return err
	}
	if c.json() {
		return c.print(append([]*inspect.Operation{}, list...))
	}
	t := c.table()
	t.row("ID", "BEGAN", "STATE", "CHANGED", "SEEN", "VERB", "WHERE", "FILTER", "WHO", "ERROR")
	for _, op := range list {
		what := op.Filter
		if len(op.JIDs) > 0 {
			what = strings.Join(op.JIDs, " ")
		}
		verb := string(op.Verb)
		if op.To != "" {
			verb += " to " + op.To
		}
		t.row(op.ID, moment(op.Began), op.State, grouped(int64(op.Changed)),
			grouped(int64(op.Seen)), verb, placeOf(op), what, op.By+"@"+op.Host, op.Error)
	}
	return t.Flush()
}

// placeOf is where the jobs of an operation are, in the words of the commands.
func placeOf(o *inspect.Operation) string {
	switch class, held := strings.CutPrefix(o.Set, "kyu:hold:"); {
	case o.Queue != "":
		return "the queue " + o.Queue
	case held:
		return "held " + class
	}
	return map[string]string{"retry": "retries", "schedule": "scheduled", "dead": "dead"}[o.Set]
}

func (o *operations) resume(ctx context.Context, c *call, words []string) error {
	op, err := c.inspector.Operation(ctx, words[0])
	if err != nil {
		return err
	}
	if op.State == queue.StateDone {
		return fmt.Errorf("operation %s is done", op.ID)
	}
	if err := c.carryOut(ctx, op, placeOf(op), string(op.Verb)); err != nil {
		return err
	}
	return missing(op, placeOf(op))
}

func (o *operations) cancel(ctx context.Context, c *call, words []string) error {
	op, err := c.inspector.Operation(ctx, words[0])
	if err == nil {
		err = op.Cancel(ctx)
	}
	return c.acted(err, "cancelled "+words[0])
}

func runUndo(ctx context.Context, c *call, words []string) error {
	n, err := c.inspector.Undo(ctx, words[0])
	if n > 0 {
		c.acted(nil, fmt.Sprintf("restored %d jobs of the operation %s", n, words[0]))
	}
	return err
}

func operationIDs(ctx context.Context, c *call, _ []string) (ids []string, err error) {
	return operationsWith(ctx, c, func(o *inspect.Operation) bool {
		return o.State != queue.StateDone
	})
}

// deletions are the operations that can be undone.
func deletions(ctx context.Context, c *call, _ []string) (ids []string, err error) {
	return operationsWith(ctx, c, func(o *inspect.Operation) bool {
		return o.Verb == queue.VerbDelete && o.Changed > 0
	})
}

func operationsWith(ctx context.Context, c *call, is func(*inspect.Operation) bool) (ids []string,
	err error) {
	list, err := c.inspector.Operations(ctx, candidateJobs)
	for _, o := range list {
		if is(o) {
			ids = append(ids, fmt.Sprintf("%s\t%s %d jobs of %s", o.ID, o.Verb, o.Changed,
				placeOf(o)))
		}
	}
	return ids, err
}
