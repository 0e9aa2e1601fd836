package main

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/internal/doctor"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// doctorCommand is the command doctor.
type doctorCommand struct {
	others    otherPools
	pgbouncer string
}

func (c *call) doctorCommand() *cobra.Command {
	d := &doctorCommand{}
	// It is local because it reports a Redis that cannot be reached.
	cmd := c.local("doctor", "report problems of Redis, queues, processes and Postgres", d.run)
	cmd.Long = "look at Redis, queues, processes, pools, Postgres, PgBouncer, replicas and the\n" +
		"outbox, and print the problems with their remedies; exit code 0, 1 (warnings) or 2\n" +
		"(something is wrong)"
	cmd.Example = "workerctl doctor --env-file /home/mastodon/live/.env.production --streaming 1x10"
	cmd.Args = d.check
	d.flags(cmd.Flags())
	return cmd
}

func (d *doctorCommand) flags(f *pflag.FlagSet) {
	f.StringVar(&d.pgbouncer, "pgbouncer", "", "the `URL` of PgBouncer's admin console "+
		"(default: DATABASE_URL with the database pgbouncer)")
	d.others.flags(f)
}

func (d *doctorCommand) check(cmd *cobra.Command, words []string) error {
	if err := noWords(cmd, words); err != nil {
		return err
	}
	return checked(func([]string) error { return d.others.check() })(cmd, words)
}

// run examines the running system. A server that cannot be reached is a finding, not an
// error.
func (d *doctorCommand) run(ctx context.Context, c *call, _ []string) error {
	others, err := d.others.read(c)
	if err != nil {
		return usageError{"doctor", err}
	}
	e := doctor.Examination{Settings: doctor.SettingsFromEnv(c.env)}
	list, err := c.shardsFromEnv()
	if err != nil {
		return usageError{"doctor", err}
	}
	e.Others, e.PgBouncer = others, d.pgbouncer
	if err := c.openShards(ctx, list); err != nil {
		e.Findings = append(e.Findings, doctor.Finding{Level: doctor.Wrong, About: "redis",
			Text: err.Error()})
	} else {
		defer c.close()
		e.Shards(ctx, c.fleet)
	}
	e.Postgres(ctx)
	e.Outbox(ctx)
	return c.report(e.Findings)
}

// report prints findings and makes the exit code of the worst.
func (c *call) report(list []doctor.Finding) error {
	worst := exitCode(0)
	levels := map[string]exitCode{doctor.Good: 0, doctor.Warning: 1, doctor.Wrong: 2}
	for _, f := range list {
		worst = max(worst, levels[f.Level])
	}
	if c.json() {
		if err := c.print(append([]doctor.Finding{}, list...)); err != nil {
			return err
		}
	} else {
		c.printExamined(list)
	}
	if worst > 0 {
		return worst
	}
	return nil
}

func (c *call) printExamined(list []doctor.Finding) {
	for _, f := range list {
		fmt.Fprintf(c.out, "%-8s %-10s %s\n", f.Level, f.About, printable(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(c.out, "%-8s %-10s → %s\n", "", "", printable(f.Remedy))
		}
	}
}
