// Command loadtest measures Kyu beside Ruby's Sidekiq and beside the limit, the
// bare loop of its own scripts: one machine, one run, interleaved rounds. It
// starts its own redis-server and the built worker, and sends nothing anywhere
// but to them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := pflag.NewFlagSet("loadtest", pflag.ContinueOnError)
	o := options{}
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; the table shows medians")
	f.Float64Var(&o.scale, "scale", 1, "how many times as many jobs")
	f.StringVar(&o.worker, "worker", "bin/worker", "the built worker")
	f.StringVar(&o.json, "json", "", "also write all figures to this file")
	f.IntSliceVar(&o.threads, "threads", []int{1, 15, 100}, "values of -c")
	f.BoolVar(&o.noRuby, "no-ruby", false, "leave Sidekiq out")
	f.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: loadtest bench [flags]\n\n%s", f.FlagUsages())
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.Arg(0) != "bench" {
		f.Usage()
		return fmt.Errorf("there is one experiment: bench")
	}
	if _, err := os.Stat(o.worker); err != nil {
		return fmt.Errorf("%s is not there: run `make build` first", o.worker)
	}
	return bench(ctx, o)
}
