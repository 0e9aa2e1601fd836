package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type push struct {
	due               due
	queue, jid, retry string
	args              []any // of the job; check reads them
	options           queue.Options
}

func (c *call) pushCommand() *cobra.Command {
	p := &push{}
	cmd := c.spreading(once, "push CLASS [JSON-ARGS]", "push a job", p.run)
	cmd.Long = "push a job and print its id; JSON-ARGS is an array, such as '[1,\"a\"]'"
	cmd.Example = `workerctl push WelcomeWorker '[1,"ja"]' --queue mailers
workerctl push CleanUp --in 2h`
	cmd.Args = checked(p.check)
	c.completes(cmd, firstWord(classNames))
	p.flags(cmd.Flags())
	c.completesFlag(cmd, "queue", queueNames)
	return cmd
}

func (p *push) flags(f *pflag.FlagSet) {
	f.StringVar(&p.queue, "queue", "default", "the `QUEUE`")
	p.due.flags(f, "")
	f.StringVar(&p.jid, "jid", "", "the `ID` of the job; a second push of the same id within an "+
		"hour pushes no second job")
	f.StringVar(&p.retry, "retry", "", "how often the job is retried: a `NUMBER`, true or false")
}

func (p *push) check(words []string) (err error) {
	if len(words) == 0 || len(words) > 2 {
		return errors.New("want a class and at most one array of arguments")
	}
	if len(words) == 2 {
		if p.args, err = jobArgs(words[1]); err != nil {
			return err
		}
	}
	p.options = queue.Options{Queue: p.queue, JID: p.jid, Idempotent: p.jid != ""}
	if p.options.At, err = p.due.time(time.Now()); err != nil {
		return err
	}
	switch n, err := strconv.Atoi(p.retry); {
	case p.retry == "" || p.retry == "true":
	case p.retry == "false":
		p.options.Retry = queue.NeverRetry
	case err != nil || n < 0:
		return fmt.Errorf("--retry %q: want a number from 0, true or false", p.retry)
	default:
		p.options.Retry = queue.RetryMax(n)
	}
	return nil
}

// jobArgs reads a JSON array.
func jobArgs(text string) (args []any, err error) {
	raw, err := envelope.SplitArgs(json.RawMessage(text))
	if err != nil {
		return nil, fmt.Errorf("%q is not a JSON array, such as '[1,\"a\"]'", text)
	}
	for _, a := range raw {
		args = append(args, a)
	}
	return args, nil
}

func (p *push) run(ctx context.Context, c *call, words []string) error {
	m, err := c.home(ctx, p.jid)
	if err != nil {
		return err
	}
	jid, err := queue.NewClient(m.Store).Push(ctx, words[0], p.args, p.options)
	if err != nil {
		return inShard(m, err)
	}
	if c.json() {
		pushed := map[string]string{"jid": jid}
		if c.several() {
			pushed["shard"] = m.Name
		}
		return c.print(pushed)
	}
	return c.done(nil, jid)
}

// home chooses the shard of a job that is pushed: one of those that are active and answer. A job of
// the same id always has the same one, unless the shards change.
func (c *call) home(ctx context.Context, jid string) (*inspect.Member, error) {
	if !c.several() {
		return c.fleet.Members()[0], nil
	}
	status, err := c.fleet.Status(ctx)
	if err != nil {
		return nil, err
	}
	var open []string
	var away []error
	for _, s := range status {
		switch {
		case s.Away != "" && jid != "":
			return nil, fmt.Errorf("shard %s: away: %s: the job may be there; without --jid it "+
				"goes to another shard", s.Shard, s.Away)
		case s.Away != "":
			away = append(away, errors.New("shard "+s.Shard+": away: "+s.Away))
		case s.State == queue.ShardActive:
			open = append(open, s.Shard)
		}
	}
	if len(open) == 0 {
		return nil, errors.Join(append(away, errors.New("no shard that answers is active: "+
			"--shard pushes to one that is draining"))...)
	}
	if jid != "" { // where clients place an idempotent push of this job too
		return c.fleet.Member(queue.Rendezvous(jid, open))
	}
	return c.fleet.Member(open[rand.IntN(len(open))])
}
