package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (c *call) deployCommand() *cobra.Command {
	cmd := c.command("deploy [LABEL]", "mark a deploy on the metrics page", deploy)
	cmd.Long = "mark a deploy on the metrics page; without a LABEL it is the git commit of this\n" +
		"directory"
	cmd.Example = "workerctl deploy v1.2"
	cmd.Args = cobra.ArbitraryArgs
	return cmd
}

func deploy(ctx context.Context, c *call, words []string) error {
	label := strings.Join(words, " ")
	if label == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%h %s").Output()
		if err != nil {
			return errors.New("deploy: there is no git commit here to take the label from: give " +
				"one, such as `workerctl deploy v1.2`")
		}
		label = strings.TrimSpace(string(out))
	}
	made, err := c.inspector.MarkDeploy(ctx, label, time.Now())
	if err == nil && !made {
		return c.done(nil, "marked already within the last minute: "+label)
	}
	return c.acted(err, "marked: "+label)
}

type deploys struct {
	days  int
	limit limit
}

func (c *call) deploysCommand() *cobra.Command {
	d := &deploys{}
	cmd := c.command("deploys", "the marks of deploys", d.run)
	cmd.Long = "the marks of deploys of the last days"
	cmd.Example = "workerctl deploys --days 30"
	d.flags(cmd.Flags())
	c.watchable(cmd)
	return cmd
}

func (d *deploys) flags(f *pflag.FlagSet) {
	f.IntVar(&d.days, "days", 7, "of the last `N` days")
	d.limit.flags(f, 0)
}

func (d *deploys) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.inspector.Marks(ctx, d.days, time.Now())
	if err != nil {
		return err
	}
	return atMost(c, d.limit, list, c.printMarks)
}

func (c *call) printMarks(list []inspect.Mark) error {
	if c.json() {
		return c.print(append([]inspect.Mark{}, list...))
	}
	t := c.table()
	t.row("WHEN", "LABEL")
	for _, m := range list {
		t.row(moment(m.At), m.Label)
	}
	return t.Flush()
}
