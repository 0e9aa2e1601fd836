package main

import (
	"context"
	"errors"
	"fmt"
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
	selection
	pause, unpause, clear, unknown bool
}

// queueVerbs are the verbs that change jobs of a queue.
var queueVerbs = []verbSummary{{queue.VerbDelete, "delete these jobs of a queue"},
	{queue.VerbKill, "put these jobs of a queue into the dead set"},
	{queue.VerbMove, "move these jobs of a queue behind those of another, in order"}}

func (c *call) queueCommand() *cobra.Command {
	q := &oneQueue{}
	cmd := c.local("queue", "the jobs of a queue; pause it, clear it, move its jobs", nil)
	cmd.Args = checked(func([]string) error { return errNoQueue })
	c.completes(cmd, queueNames)
	name := c.spreading(q.way, "NAME", "the jobs of a queue; --pause, --unpause or --clear "+
		"change the queue",
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
	cmd.AddCommand(name)
	for _, v := range queueVerbs {
		name.AddCommand(q.verb(c, v))
	}
	return cmd
}

// verb makes the command of a verb. Its words are the name of the queue and JIDs.
func (q *oneQueue) verb(c *call, v verbSummary) *cobra.Command {
	cmd := c.spreading(once, string(v.verb)+" JID…", v.summary+orMore,
		func(ctx context.Context, c *call, words []string) error {
			from := source{name: "the queue " + words[0], queue: words[0]}
			if _, err := q.known(ctx, c, words[0]); err != nil {
				return err
			}
			return q.change(ctx, c, from, v.verb, words[1:])
		})
	check, to := q.selection.check, ""
	if v.verb == queue.VerbMove {
		check, to = q.checkMove, " --to low"
	}
	cmd.Args = checked(func(words []string) error {
		if len(words) == 0 {
			return errNoQueue
		}
		return errors.Join(checkQueue(words[0]), check(string(v.verb), words[1:]))
	})
	cmd.Example = fmt.Sprintf("workerctl queue push %[1]s %[2]s%[3]s\n"+
		"workerctl queue push %[1]s --filter class:Feed::*%[3]s", v.verb, sampleJID, to)
	c.completes(cmd, queuedJobs)
	q.verbFlags(c, cmd, v.verb)
	return cmd
}

func (q *oneQueue) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.pause, "pause", false, "workers take no more jobs from the queue")
	f.BoolVar(&q.unpause, "unpause", false, "workers take jobs from the queue again")
	f.BoolVar(&q.clear, "clear", false, "delete all jobs of the queue")
	f.BoolVar(&q.noUndo, "no-undo", false, "with --clear: do not keep the jobs in the trash for a "+
		"day: Redis has their memory back at once")
	f.BoolVar(&q.unknown, "force", false, "also for a queue into which no job was pushed yet")
	q.question.flags(f)
	q.filterFlag(f)
	q.listing.flags(f)
}

var errNoQueue = errors.New("want queue NAME, or queue NAME delete, kill or move")

func (q *oneQueue) check(words []string) error {
	if len(words) != 1 {
		return errNoQueue
	}
	ways := 0
	for _, given := range []bool{q.pause, q.unpause, q.clear, q.where != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("want one of --pause, --unpause, --clear and --filter")
	}
	return errors.Join(checkQueue(words[0]), q.parse())
}

func checkQueue(name string) error {
	if !envelope.QueueName(name) {
		return fmt.Errorf("%q: want 1 to 512 bytes without a line break", name)
	}
	return nil
}

func (q *oneQueue) run(ctx context.Context, c *call, words []string) error {
	name := words[0]
	switch {
	case q.pause, q.unpause:
		return q.setPaused(ctx, c, name)
	case q.clear:
		return q.clearAll(ctx, c, name)
	}
	info, err := q.known(ctx, c, name)
	switch {
	case err != nil:
		return err
	case q.where != "":
		return q.search(ctx, c, name)
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
	err = q.jobs(c, list, "WAITING", info.Listed())
	if err != nil || info.Parked == 0 || c.json() {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s more are in lanes: workerctl lanes %s\n", grouped(info.Parked),
		name)
	return err
}

// known refuses a queue that nobody knows, unless it is forced: its name is probably a mistake.
func (q *oneQueue) known(ctx context.Context, c *call, name string) (inspect.QueueInfo, error) {
	info, err := c.queue(ctx, name)
	if err == nil && !q.unknown {
		err = c.knownQueue(ctx, info)
	}
	return info, err
}

// queue describes a queue in the shard that is asked, or in all.
func (c *call) queue(ctx context.Context, name string) (inspect.QueueInfo, error) {
	if c.inspector != nil {
		return c.inspector.Queue(ctx, name)
	}
	info, _, err := c.fleet.Queue(ctx, name)
	return info.QueueInfo, err
}

// way is the way of the command: to clear a queue asks once for all shards.
func (q *oneQueue) way(ctx context.Context, c *call, run runner, words []string) error {
	if q.clear {
		return once(ctx, c, run, words)
	}
	err := each(ctx, c, run, words)
	if (q.pause || q.unpause) && err == nil {
		_, away := c.fleet.Here(ctx)
		if len(away) > 0 {
			return exitCode(1) // it is not paused everywhere, as was said
		}
	}
	return err
}

func (q *oneQueue) setPaused(ctx context.Context, c *call, name string) error {
	if _, err := q.known(ctx, c, name); err != nil {
		return err
	}
	if q.pause {
		return c.acted(c.store.Pause(ctx, name), "paused "+name)
	}
	return c.acted(c.store.Unpause(ctx, name), "unpaused "+name)
}

// clearAll deletes all jobs of a queue, and takes its name off the list of queues.
func (q *oneQueue) clearAll(ctx context.Context, c *call, name string) error {
	if _, err := q.known(ctx, c, name); err != nil {
		return err
	}
	q.all = true
	from := source{name: "the queue " + name, queue: name}
	if err := q.change(ctx, c, from, queue.VerbDelete, nil); err != nil {
		return err
	}
	_, away, err := inspect.Each(ctx, c.fleet, func(ctx context.Context,
		m *inspect.Member) (struct{}, error) {
		return struct{}{}, m.Store.ForgetQueue(ctx, name)
	})
	if err == nil && len(away) > 0 {
		err = exitCode(1) // which was said
	}
	return err
}

// search lists the jobs of a queue that the filter chooses. It ends when it has the page, and has
// looked for some time: a queue may have millions of jobs.
func (q *oneQueue) search(ctx context.Context, c *call, name string) error {
	var list []row
	began, seen := time.Now(), int64(0)
	t, err := c.inspector.QueueWhere(ctx, name, q.filter, began, func(raw string,
		j *queue.Job) bool {
		if seen++; seen > q.offset() && len(list) < int(q.limit) {
			list = append(list, newRow(raw, j, time.Time{}))
		}
		return len(list) < int(q.limit) || time.Since(began) < searchTime
	})
	if err != nil {
		return err
	}
	if err := q.jobs(c, list, "WAITING", int64(t.Matched)); err != nil || !t.Partial || c.json() {
		return err
	}
	_, err = fmt.Fprintf(c.out, "at least: the search has stopped after %s of %s jobs\n",
		grouped(int64(t.Seen)), grouped(t.Size))
	return err
}

// searchTime is how long a search of a queue goes on after it has found a page.
const searchTime = 2 * time.Second
