// Command workerctl looks into the queues and tells workers what to do.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

const usage = `Usage: workerctl COMMAND [arguments] [flags]

  push CLASS [JSON-ARGS]          push a job; JSON-ARGS is an array, such as '[1,"a"]'
  stats                           figures of the whole fleet (--days N for its history)
  queues                          all queues
  queue NAME                      the jobs of a queue; --pause, --unpause, --clear
  queue NAME delete JID…          take jobs out of it
  retries [list]                  the retry set; likewise scheduled and dead
  retries show JID                a job with all its fields and its backtrace
  retries retry|kill|delete JID…  one or some of them, or --all
  retries reschedule JID…         make them due at another time: --in, --at
  held [CLASS]                    jobs that workers put aside (--unknown hold), by class
  held CLASS release|delete JID…  back to their queues, or away; one or some, or --all
  processes                       the live processes, Ruby's too; --clean forgets dead ones
  busy                            the jobs that run now
  metrics [CLASS]                 runs, failures and times by class; --since 1h
  deploy [LABEL]                  mark a deploy on the metrics page (the commit of this
                                  directory, if no label is given)
  deploys                         the marks; --days N
  iteration JID                   how far an iterable job is
  cancel JID…                     stop iterable jobs, Ruby's too, between two steps
  quiet|stop|dump IDENTITY…       tell processes, or --all: take no more jobs,
                                  stop, write their stacks to their logs
  migrate [up|status]             create the tables of the jobs in Postgres, or say which are
                                  there; past a pooler, by DIRECT_DATABASE_URL
  doctor                          look at Redis, queues, processes, pools, Postgres, PgBouncer
                                  and replicas, and say what is wrong and what to do;
                                  exit code 0, 1 (warnings) or 2 (wrong)
  plan                            from what a machine has and the queues bring: processes,
                                  threads, pools and PgBouncer's sizes, with the arithmetic
  install-units --split default=15,push=25,…
                                  write systemd's units for one process per queue
  health --http ADDRESS           ask a worker's /livez, as a container's health check
  uninstall-units                 remove them; --purge: their settings too

`

// errUsage marks mistakes of the command line: exit code 2.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// ctl is one call of the program.
type ctl struct {
	store *queue.Store
	in    io.Reader
	out   io.Writer
	env   *env.Reader

	json, yes, all        bool
	pause, unpause, clear bool
	clean, purge          bool
	split, root, http     string
	since                 time.Duration
	queue, jid, delay, at string
	page, days            int
	envFile, pgbouncer    string
	web, streaming        string
	plan                  planFlags
	retry                 string
	flags                 *pflag.FlagSet
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer,
	getenv func(string) string) int {
	c := &ctl{in: in, out: out, env: &env.Reader{Lookup: func(k string) (string, bool) {
		v := getenv(k)
		return v, v != ""
	}}}
	words, code, done := c.parse(args, errOut)
	if done {
		return code
	}
	err := c.command(ctx, words)
	var verdict verdictError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &verdict):
		return int(verdict)
	case errors.Is(err, errUsage):
		fmt.Fprintf(errOut, "workerctl: %v\n`workerctl --help` lists the commands.\n",
			strings.TrimPrefix(err.Error(), "usage: "))
		return 2
	default:
		fmt.Fprintf(errOut, "workerctl: %v\n", err)
		return 1
	}
}

func (c *ctl) parse(args []string, errOut io.Writer) (words []string, code int, done bool) {
	f := pflag.NewFlagSet("workerctl", pflag.ContinueOnError)
	f.SortFlags, f.Usage = false, func() {}
	f.BoolVar(&c.json, "json", false, "print JSON for programs")
	f.BoolVar(&c.yes, "yes", false, "do not ask before a destructive --all or --clear")
	f.BoolVar(&c.all, "all", false, "all jobs of the set, all processes")
	f.StringVar(&c.queue, "queue", "default", "push: the `QUEUE`")
	f.StringVar(&c.delay, "in", "", "push, reschedule: due in a `DURATION`, such as 90s or 2h")
	f.StringVar(&c.at, "at", "",
		"push, reschedule: due at a `TIME`, RFC 3339 or seconds since 1970")
	f.StringVar(&c.jid, "jid", "", "push: the job's id; pushed again within an hour it "+
		"is not doubled")
	f.StringVar(&c.retry, "retry", "", "push: how often it is retried: a number, or false")
	f.BoolVar(&c.pause, "pause", false, "queue: workers leave it alone")
	f.BoolVar(&c.unpause, "unpause", false, "queue: workers take from it again")
	f.BoolVar(&c.clear, "clear", false, "queue: delete all its jobs")
	f.IntVar(&c.page, "page", 1, "lists: the page, of 25 entries")
	f.IntVar(&c.days, "days", 0, "stats: also the last days; deploys: of so many days (default 7)")
	f.BoolVar(&c.clean, "clean", false, "processes: take those that no longer beat off the list")
	f.DurationVar(&c.since, "since", time.Hour, "metrics: how far back, up to 72h; the histogram "+
		"of a class up to 8h")
	f.StringVar(&c.split, "split", "", "install-units: `INSTANCE=THREADS,…`; push-2 is a second "+
		"process of the queue push")
	f.StringVar(&c.root, "root", "", "install-units: below this `DIRECTORY` instead of /")
	f.StringVar(&c.http, "http", "", "health: the `ADDRESS` that the worker was given")
	f.StringVar(&c.envFile, "env-file", "", "doctor: also read variables from this `FILE`, such "+
		"as Mastodon's .env.production")
	f.StringVar(&c.pgbouncer, "pgbouncer", "", "doctor: the `URL` of PgBouncer's admin console; "+
		"tried by itself behind a pooler")
	f.StringVar(&c.web, "web", "", "doctor, plan: web processes and the threads of each, `NxM`; "+
		"WEB_CONCURRENCY and MAX_THREADS if not given")
	f.StringVar(&c.streaming, "streaming", "", "doctor, plan: streaming processes and the pool "+
		"of each, `NxM`")
	c.plan.register(f)
	f.BoolVar(&c.purge, "purge", false, "uninstall-units: remove /etc/kyu too")
	help := f.BoolP("help", "h", false, "print this and exit")
	showVersion := f.BoolP("version", "V", false, "print the version and exit")
	c.flags = f
	if err := f.Parse(args); err != nil {
		fmt.Fprintf(errOut, "workerctl: %v\n`workerctl --help` lists the flags.\n", err)
		return nil, 2, true
	}
	switch {
	case *showVersion:
		fmt.Fprintln(c.out, "workerctl", version.String())
		return nil, 0, true
	case *help || f.NArg() == 0:
		fmt.Fprint(c.out, usage, f.FlagUsages(), "\nRedis is found as the worker finds it: "+
			"REDIS_URL, or REDIS_HOST and so on.\n")
		if *help {
			return nil, 0, true
		}
		return nil, 2, true
	}
	return f.Args(), 0, false
}

// commands by name: what they do with the words after it.
func (c *ctl) commands() map[string]func(context.Context, []string) error {
	return map[string]func(context.Context, []string) error{
		"push": c.push, "stats": c.stats, "queues": c.queues, "queue": c.oneQueue,
		"retries": func(ctx context.Context, w []string) error {
			return c.set(ctx, "retries", inspect.New(c.store).RetrySet(), w)
		},
		"scheduled": func(ctx context.Context, w []string) error {
			return c.set(ctx, "scheduled", inspect.New(c.store).ScheduleSet(), w)
		},
		"dead": func(ctx context.Context, w []string) error {
			return c.set(ctx, "dead", inspect.New(c.store).DeadSet(), w)
		},
		"processes": c.processes, "busy": c.busy, "held": c.held, "metrics": c.metrics,
		"deploy": c.deploy, "deploys": c.deploys, "iteration": c.iteration, "cancel": c.cancel,
		"quiet": func(ctx context.Context, w []string) error { return c.signal(ctx, "TSTP", w) },
		"stop":  func(ctx context.Context, w []string) error { return c.signal(ctx, "TERM", w) },
		"dump":  func(ctx context.Context, w []string) error { return c.signal(ctx, "TTIN", w) },
	}
}

// local are the commands that need no Redis.
func (c *ctl) local() map[string]func(context.Context, []string) error {
	return map[string]func(context.Context, []string) error{
		"migrate": c.migrate, "doctor": c.doctor, "plan": c.makePlan,
		"install-units": c.installUnits, "uninstall-units": c.uninstallUnits, "health": c.health,
	}
}

func (c *ctl) command(ctx context.Context, words []string) error {
	if do := c.local()[words[0]]; do != nil {
		return do(ctx, words[1:])
	}
	if c.commands()[words[0]] == nil {
		names := slices.Sorted(maps.Keys(c.commands()))
		names = append(names, slices.Sorted(maps.Keys(c.local()))...)
		return fmt.Errorf("%w: there is no command %q; there are %s", errUsage, words[0],
			strings.Join(names, ", "))
	}
	config := queue.ConfigFromEnv(c.env)
	if err := c.env.Err(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	store, err := queue.Open(ctx, config)
	if err != nil {
		return err
	}
	defer store.Close()
	c.store = store
	return c.commands()[words[0]](ctx, words[1:])
}

// confirm asks before something that cannot be undone.
func (c *ctl) confirm(what string) error {
	if c.yes {
		return nil
	}
	fmt.Fprintf(c.out, "%s? This cannot be undone. [y/N] ", what)
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}
