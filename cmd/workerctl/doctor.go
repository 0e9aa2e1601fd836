package main

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type doctor struct {
	others    otherPools
	pgbouncer string
}

func (c *call) doctorCommand() *cobra.Command {
	d := &doctor{}
	// It is local because it reports a Redis that cannot be reached.
	cmd := c.local("doctor", "report problems of Redis, queues, processes and Postgres", d.run)
	cmd.Long = "look at Redis, queues, processes, pools, Postgres, PgBouncer and replicas, and\n" +
		"print the problems with their remedies; exit code 0, 1 (warnings) or 2 (something is\n" +
		"wrong)"
	cmd.Example = "workerctl doctor --env-file /home/mastodon/live/.env.production --streaming 1x10"
	cmd.Args = d.check
	d.flags(cmd.Flags())
	return cmd
}

func (d *doctor) flags(f *pflag.FlagSet) {
	f.StringVar(&d.pgbouncer, "pgbouncer", "", "the `URL` of PgBouncer's admin console "+
		"(default: DATABASE_URL with the database pgbouncer)")
	d.others.flags(f)
}

func (d *doctor) check(cmd *cobra.Command, words []string) error {
	if err := noWords(cmd, words); err != nil {
		return err
	}
	return checked(func([]string) error { return d.others.check() })(cmd, words)
}

// Levels of a finding, from best to worst.
const (
	good    = "good"
	warning = "warning"
	wrong   = "wrong"
)

// finding is one line of doctor's report.
type finding struct {
	Level  string `json:"level"`
	About  string `json:"about"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// examination is one run of doctor.
type examination struct {
	*doctor
	*call
	findings []finding
	pools    []pool // of all processes that open connections to Postgres
}

func (e *examination) good(about, format string, args ...any) {
	e.findings = append(e.findings, finding{good, about, fmt.Sprintf(format, args...), ""})
}

func (e *examination) bad(level, about, remedy, format string, args ...any) {
	e.findings = append(e.findings, finding{level, about, fmt.Sprintf(format, args...), remedy})
}

// run examines the running system. A server that cannot be reached is a finding, not an
// error.
func (d *doctor) run(ctx context.Context, c *call, _ []string) error {
	others, err := d.others.pools(c)
	if err != nil {
		return usageError{"doctor", err}
	}
	config := queue.ConfigFromEnv(c.env)
	cache := queue.RedisFromEnv(c.env, "cache redis", "CACHE_")
	base := database.ConfigFromEnv(c.env)
	if err := c.env.Err(); err != nil {
		return usageError{"doctor", err}
	}
	e := &examination{doctor: d, call: c}
	if err := c.openStore(ctx, config); err != nil {
		e.bad(wrong, "redis", "", "%v", err)
	} else {
		defer c.store.Close()
		e.redis(ctx, cache)
		e.fleet(ctx)
		e.cron(ctx)
	}
	e.pools = append(e.pools, others...)
	e.postgres(ctx, base)
	return e.report()
}

// report prints the findings and makes the exit code of the worst.
func (e *examination) report() error {
	worst := exitCode(0)
	levels := map[string]exitCode{good: 0, warning: 1, wrong: 2}
	for _, f := range e.findings {
		worst = max(worst, levels[f.Level])
	}
	if e.call.json() {
		if err := e.print(append([]finding{}, e.findings...)); err != nil {
			return err
		}
	} else {
		e.printFindings()
	}
	if worst > 0 {
		return worst
	}
	return nil
}

func (e *examination) printFindings() {
	for _, f := range e.findings {
		fmt.Fprintf(e.out, "%-8s %-10s %s\n", f.Level, f.About, printable(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(e.out, "%-8s %-10s → %s\n", "", "", printable(f.Remedy))
		}
	}
}
