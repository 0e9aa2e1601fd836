// Command loadtest runs Kyu's experiments: each is a folder here. It starts a Redis of its own
// and the built testworker, and connects to nothing else but the servers that it starts.
// testworker is the same runtime as the worker, with the jobs of tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/kyujobs/kyu/loadtest/compare"
	"github.com/kyujobs/kyu/loadtest/live"
	"github.com/kyujobs/kyu/loadtest/pages"
	"github.com/kyujobs/kyu/loadtest/shards"
	"github.com/kyujobs/kyu/loadtest/starvation"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

const usage = `Usage: loadtest EXPERIMENT [flags]

  compare      throughput, latency, CPU and lost jobs after kill -9, beside the rivals:
               Sidekiq, Asynq, River, and the bare loop of Kyu's own scripts
  starvation   one process against several, when a queue is over-filled; lanes against none
  live         the stream of the dashboard with up to 10,000 clients
  pages        the pages of the dashboard beside millions of jobs
  shards       strict order and throughput over three shards, beside one Redis

loadtest EXPERIMENT --help lists the flags. Kyu is measured as bin/testworker: bin/worker (the same
runtime, built with the same flags) with handlers for the jobs that the experiments push.
`

func run(ctx context.Context, args []string) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "compare":
		var o compare.Options
		if err := parse(name, o.Flags, args); err != nil {
			return err
		}
		return compare.Run(ctx, o, os.Stdout)
	case "starvation":
		var o starvation.Options
		if err := parse(name, o.Flags, args); err != nil {
			return err
		}
		return starvation.Run(ctx, o, os.Stdout)
	case "live":
		var o live.Options
		if err := parse(name, o.Flags, args); err != nil {
			return err
		}
		return live.Run(ctx, o, os.Stdout)
	case "pages":
		var o pages.Options
		if err := parse(name, o.Flags, args); err != nil {
			return err
		}
		return pages.Run(ctx, o, os.Stdout)
	case "shards":
		var o shards.Options
		if err := parse(name, o.Flags, args); err != nil {
			return err
		}
		return shards.Run(ctx, o, os.Stdout)
	case "-h", "--help", "help":
		fmt.Print(usage)
		return nil
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("%q is not an experiment: want compare, starvation, live, pages or shards",
		name)
}

// parse reads the flags of an experiment.
func parse(name string, define func(*pflag.FlagSet), args []string) error {
	f := pflag.NewFlagSet("loadtest "+name, pflag.ContinueOnError)
	f.SortFlags = false
	define(f)
	f.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: loadtest %s [flags]\n\n%s", name, f.FlagUsages())
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is not a flag", f.Arg(0))
	}
	return nil
}
