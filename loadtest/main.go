// Command loadtest measures Kyu beside Ruby's Sidekiq and beside the limit, the
// bare loop of its own scripts: one machine, one run, interleaved rounds. It
// starts its own redis-server and the built testworker, and sends nothing anywhere
// but to them. testworker is the same runtime as the worker, with the jobs of tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

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

const usage = `Usage: loadtest EXPERIMENT [flags]

  peers        throughput, latency, cost and what a kill -9 costs, beside Sidekiq, Asynq, River
               and the bare script loop
  starvation   one process against several, when a queue is over-filled

What is measured is bin/testworker: bin/worker (the same runtime, built with the same flags) with
handlers for the jobs that the experiments push.

`

func run(ctx context.Context, args []string) error {
	f := pflag.NewFlagSet("loadtest", pflag.ContinueOnError)
	f.SortFlags = false
	o, st := options{}, starvationOptions{}
	f.IntVar(&o.rounds, "rounds", 5, "peers: interleaved rounds; the table shows medians")
	f.Float64Var(&o.scale, "scale", 1, "peers: how many times as many jobs")
	f.StringVar(&o.worker, "worker", "bin/testworker", "the built testworker")
	f.StringVar(&o.before, "before", "", "peers: another built testworker, as of the commit "+
		"before; it and --worker are compared alone")
	f.StringVar(&o.json, "json", "", "peers: also write all figures to this file")
	f.IntSliceVar(&o.threads, "threads", []int{1, 15, 100}, "peers: values of -c")
	f.StringVar(&o.peers, "peers", "bin/peers", "peers: the built program of Asynq and River; "+
		"empty: without them")
	f.StringSliceVar(&o.only, "only", nil, "peers: some parts alone: drain, efficiency, push, "+
		"latency, payload, network, backlog, kill, idle")
	f.IntVar(&o.backlog, "backlog", 10_000_000, "peers: jobs in the long queue")
	f.BoolVar(&o.noRuby, "no-ruby", false, "peers: leave Sidekiq out")
	f.StringVar(&st.runtime, "runtime", "kyu", "starvation: kyu, or the real sidekiq 6.4.1")
	f.StringVar(&st.burst, "burst", "viral", "starvation: viral (push), outage (default) or "+
		"deadhosts (push)")
	f.DurationVar(&st.length, "length", 6*time.Minute, "starvation: time of life")
	f.Float64Var(&st.speed, "speed", 10, "starvation: how many times faster than life it runs")
	f.Float64Var(&st.busy, "busy", 0.6,
		"starvation: share of the threads that the steady load keeps busy")
	f.Uint64Var(&st.seed, "seed", 1, "starvation: of the arrivals")
	f.StringVar(&st.dir, "out", "bin/report", "starvation: the folder for the report")
	f.Usage = func() { fmt.Fprint(os.Stderr, usage, f.FlagUsages()) }
	if err := f.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return err
	}
	st.worker = o.worker
	for _, path := range []string{o.worker, o.before} {
		if _, err := os.Stat(path); path != "" && err != nil {
			return fmt.Errorf("%s is not there: run `make bin/testworker` first", path)
		}
	}
	switch f.Arg(0) {
	case "peers":
		return peers(ctx, o)
	case "starvation":
		return starvation(ctx, st)
	}
	f.Usage()
	return fmt.Errorf("%q is no experiment: want peers or starvation", f.Arg(0))
}
