package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

func deployCommand() command {
	return command{name: "deploy", summary: "mark a deploy on the metrics page",
		forms: []form{{"[LABEL]", "mark a deploy on the metrics page; without a LABEL it is the\n" +
			"git commit of this directory"}},
		check: anyWords, run: deploy}
}

func anyWords([]string) error { return nil }

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
	return c.done(err, "marked: "+label)
}

type deploys struct {
	output
	days int
}

func deploysCommand() command {
	d := &deploys{}
	return command{name: "deploys", summary: "the marks of deploys",
		forms: []form{{"", "the marks of the last days"}}, flags: d.flags, run: d.run}
}

func (d *deploys) flags(f *pflag.FlagSet) {
	f.IntVar(&d.days, "days", 7, "of the last `N` days")
	d.output.flags(f)
}

func (d *deploys) run(ctx context.Context, c *call, _ []string) error {
	list, err := c.inspector.Marks(ctx, d.days, time.Now())
	if err != nil {
		return err
	}
	if d.json {
		return c.print(append([]inspect.Mark{}, list...))
	}
	t := c.table()
	t.row("WHEN", "LABEL")
	for _, m := range list {
		t.row(m.At.Format("2006-01-02 15:04"), m.Label)
	}
	return t.Flush()
}
