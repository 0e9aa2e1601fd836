package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// oneQueue is the command queue.
type oneQueue struct {
	listing
	question
	pause, unpause, clear, force bool
}

func (c *call) queueCommand() *cobra.Command {
	q := &oneQueue{}
	cmd := c.local("queue", "the jobs of a queue; pause it, clear it", nil)
	cmd.Args = checked(func([]string) error {
		return errors.New("want queue NAME, or queue NAME delete JID…")
	})
	c.completes(cmd, queueNames)
	name := c.command("NAME", "the jobs of a queue; --pause, --unpause or --clear change the queue",
		q.run)
	name.Long = name.Short
	name.Example = "workerctl queue push --page 2\nworkerctl queue push --pause"
	name.Args = checked(func(words []string) error {
		if c.every > 0 && (q.pause || q.unpause || q.clear) {
			return errWatch
		}
		return q.check(words)
	})
	c.completes(name, secondIsVerb(name, queueNames))
	q.flags(name.Flags())
	c.watchable(name)
	remove := c.command("delete JID…", "delete these jobs of a queue", q.remove)
	remove.Example = "workerctl queue push delete " + sampleJID
	remove.Args = checked(checkRemove)
	c.completes(remove, queuedJobs)
	cmd.AddCommand(name)
	name.AddCommand(remove)
	return cmd
}

func (q *oneQueue) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.pause, "pause", false, "workers take no more jobs from the queue")
	f.BoolVar(&q.unpause, "unpause", false, "workers take jobs from the queue again")
	f.BoolVar(&q.clear, "clear", false, "delete all jobs of the queue")
	f.BoolVar(&q.force, "force", false, "also for a queue into which no job was pushed yet")
	q.question.flags(f)
	q.listing.flags(f)
}

func (q *oneQueue) check(words []string) error {
	if len(words) != 1 {
		return errors.New("want queue NAME, or queue NAME delete JID…")
	}
	if q.pause && q.unpause || q.pause && q.clear || q.unpause && q.clear {
		return errors.New("want one of --pause, --unpause and --clear")
	}
	return checkQueue(words[0])
}

func checkQueue(name string) error {
	if !envelope.QueueName(name) {
		return fmt.Errorf("%q: want 1 to 512 bytes without a line break", name)
	}
	return nil
}

func checkRemove(words []string) error {
	if len(words) < 2 {
		return errors.New("want queue NAME, or queue NAME delete JID…")
	}
	return checkQueue(words[0])
}

func (q *oneQueue) run(ctx context.Context, c *call, words []string) error {
	name := words[0]
	switch {
	case q.pause, q.unpause:
		return q.setPaused(ctx, c, name)
	case q.clear:
		return q.clearAll(ctx, c, name)
	}
	info, err := c.inspector.Queue(ctx, name)
	if err == nil && !q.force {
		err = c.knownQueue(ctx, info)
	}
	if err != nil {
		return err
	}
	page, err := c.inspector.QueuePage(ctx, name, q.offset(), int64(q.limit))
	if err != nil {
		return err
	}
	var list []row
	for _, raw := range page {
		j, _ := envelope.ParseJob(raw)
		list = append(list, newRow(raw, j, time.Time{}))
	}
	return q.jobs(c, list, "WAITING", info.Size)
}

// setPaused pauses or unpauses a queue. A name that no queue has is probably a mistake.
func (q *oneQueue) setPaused(ctx context.Context, c *call, name string) error {
	list, err := c.inspector.Queues(ctx)
	if err != nil {
		return err
	}
	info, err := c.inspector.Queue(ctx, name)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(list, func(i inspect.QueueInfo) bool { return i.Name == name })
	if !known && !info.Paused && info.Size == 0 && !q.force {
		return fmt.Errorf("queue %s: %w: is the name right? With --force the command also takes "+
			"a queue into which no job was pushed yet", name, queue.ErrNotFound)
	}
	if q.pause {
		return c.acted(c.store.Pause(ctx, name), "paused "+name)
	}
	return c.acted(c.store.Unpause(ctx, name), "unpaused "+name)
}

func (q *oneQueue) clearAll(ctx context.Context, c *call, name string) error {
	info, err := c.inspector.Queue(ctx, name)
	if err != nil {
		return err
	}
	if err := q.ask(c, fmt.Sprintf("Delete all %d jobs of the queue %s", info.Size,
		name)); err != nil {
		return err
	}
	return c.acted(c.store.ClearQueue(ctx, name), "cleared "+name)
}

// remove deletes jobs of a queue: the words are its name and the JIDs.
func (q *oneQueue) remove(ctx context.Context, c *call, words []string) error {
	name := words[0]
	for _, jid := range words[1:] {
		j, err := c.inspector.FindInQueue(ctx, name, jid)
		if err == nil {
			err = c.store.DeleteFromQueue(ctx, name, j.Raw())
		}
		if err := c.acted(err, "delete "+jid+" of "+name); err != nil {
			return err
		}
	}
	return nil
}
