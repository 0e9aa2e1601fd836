// Package compare measures Kyu beside its rivals: Ruby's Sidekiq, Asynq, River, and the bare
// loop, which calls Kyu's scripts and runs nothing. All run on one machine, in one run, in
// interleaved rounds.
package compare

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/test/kit/pgserver"
	"github.com/spf13/pflag"
)

// Options are the flags of the experiment.
type Options struct {
	rounds  int
	scale   float64
	worker  string
	before  string    // another built worker: it and worker are compared alone
	flags   [2]string // of the worker and of the one before; the jobs are in default
	program string    // the program of Asynq and River; empty: without them
	json    string
	threads []int
	backlog int
	only    []string // names of parts; empty: all
	noRuby  bool
}

// defaultFlags serve the queue of the jobs.
const defaultFlags = "-q default"

// Flags defines the flags of the experiment.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; the table shows medians")
	f.Float64Var(&o.scale, "scale", 1, "how many times as many jobs")
	f.StringVar(&o.worker, "worker", "bin/testworker", "the built testworker")
	f.StringVar(&o.before, "before", "", "another built testworker, of an earlier commit: it and "+
		"--worker are compared alone")
	f.StringVar(&o.flags[0], "flags", defaultFlags, "flags of --worker, with spaces between them; "+
		"the jobs are in default")
	f.StringVar(&o.flags[1], "before-flags", defaultFlags, "the same for --before, which may be "+
		"the same program: so two settings are compared")
	f.StringVar(&o.json, "json", "", "also write the figures of the part drain to this file")
	f.IntSliceVar(&o.threads, "threads", []int{1, 15, 100}, "values of -c")
	f.StringVar(&o.program, "rivals", "bin/rivals", "the built program of Asynq and River; "+
		"empty: without them")
	f.StringSliceVar(&o.only, "only", nil, "some parts alone: "+strings.Join(partNames(), ", "))
	f.IntVar(&o.backlog, "backlog", 10_000_000, "jobs in the long queue of the part backlog")
	f.BoolVar(&o.noRuby, "no-ruby", false, "leave Sidekiq out")
}

func (o *Options) check() error {
	for _, name := range o.only {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("--only %q: want %s", name, strings.Join(partNames(), ", "))
		}
	}
	for _, path := range []string{o.worker, o.before} {
		if _, err := os.Stat(path); path != "" && err != nil {
			return fmt.Errorf("%w: run `make bin/testworker` first", err)
		}
	}
	if o.before != "" {
		o.program = "" // no rival runs
	}
	if _, err := os.Stat(o.program); o.program != "" && err != nil {
		return fmt.Errorf("%w: run `make bin/rivals` first, or leave Asynq and River out with "+
			"--rivals ''", err)
	}
	return nil
}

// comparison is one run of the experiment.
type comparison struct {
	*lab.Lab
	Options
	out io.Writer

	postgres *pgserver.Server // nil without River
	pg       *pgx.Conn
}

// part is one kind of measurement, with a table of its own.
type part struct {
	name string
	run  func(*comparison, context.Context) error
}

func parts() []part {
	return []part{{"drain", (*comparison).drains}, {"efficiency", (*comparison).efficiencies},
		{"push", (*comparison).pushes}, {"latency", (*comparison).latencies},
		{"payload", (*comparison).payloads}, {"network", (*comparison).network},
		{"backlog", (*comparison).backlogs}, {"kill", (*comparison).kills},
		{"idle", (*comparison).idle}, {"outbox", (*comparison).outboxes}}
}

func partNames() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// Run measures, and prints tables to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	l, err := lab.Open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	c := &comparison{Lab: l, Options: o, out: out}
	if o.program != "" {
		if err := c.openPostgres(ctx); err != nil {
			return err
		}
		defer c.postgres.Remove()
	}
	fmt.Fprintf(out, "%s, %d cores, %s, Redis %s, %s\n\n", time.Now().Format(time.DateOnly),
		lab.Cores(), runtime.Version(), c.Store.Server().Version, lab.Processor())
	for _, p := range parts() {
		if len(o.only) > 0 && !slices.Contains(o.only, p.name) {
			continue
		}
		if err := p.run(c, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// openPostgres starts a Postgres that does not wait for the disk, as the Redis does not.
func (c *comparison) openPostgres(ctx context.Context) (err error) {
	if c.postgres, err = pgserver.Start("max_connections=200", "shared_buffers=256MB",
		"max_wal_size=4GB"); err != nil {
		return err
	}
	if c.pg, err = pgx.Connect(ctx, c.postgres.URL); err != nil {
		c.postgres.Remove()
	}
	return err
}
