// Package starvation measures how one over-filled queue makes the others wait, with the same
// threads in one process and in several, on Kyu or on the real Sidekiq.
package starvation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/spf13/pflag"
)

// Options are the flags of the experiment.
type Options struct {
	worker, runtime, burst, dir string
	length, limit               time.Duration // of life
	speed                       float64       // how many times faster than life it runs
	busy                        float64
	seed                        uint64
	only                        []string // arrangements alone; empty: all, and the known answers
}

// Flags defines the flags of the experiment.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.worker, "worker", "bin/testworker", "the built testworker")
	f.StringVar(&o.runtime, "runtime", "kyu", "kyu, or the real sidekiq 6.4.1")
	f.StringVar(&o.burst, "burst", "viral", "viral (fills push), outage (fills default) or "+
		"deadhosts (fills push)")
	f.DurationVar(&o.length, "length", 6*time.Minute, "time of life whose jobs are measured; "+
		"the load goes on until no queue holds a job")
	f.DurationVar(&o.limit, "limit", 30*time.Minute, "time of life after which an arrangement is "+
		"cut off")
	f.Float64Var(&o.speed, "speed", 10, "how many times faster than life it runs")
	f.Float64Var(&o.busy, "busy", 0.6, "share of the threads that the steady load keeps busy")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the arrivals and of the times that jobs take")
	f.StringSliceVar(&o.only, "only", nil, "some arrangements alone, without scenarios, known "+
		"answers and report, such as single,lanes,single,lanes")
	f.StringVar(&o.dir, "out", "bin/report", "folder for the report")
}

func (o *Options) check() error {
	if o.runtime != "kyu" && o.runtime != "sidekiq" {
		return fmt.Errorf("--runtime %q: want kyu or sidekiq", o.runtime)
	}
	if o.speed <= 0 || o.length < time.Minute || o.limit < o.length || o.busy <= 0 || o.busy >= 1 {
		return errors.New("want --speed above 0, --length of a minute or more, --limit of " +
			"--length or more, and --busy between 0 and 1")
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(playable(o.runtime), named(name)) {
			return fmt.Errorf("--only %q: no such arrangement of %s", name, o.runtimeName())
		}
	}
	if _, err := os.Stat(o.worker); err != nil {
		return fmt.Errorf("%w: run `make bin/testworker` first", err)
	}
	return nil
}

// arrangements are those that are played, in order.
func (o *Options) arrangements() []arrangement {
	all := playable(o.runtime)
	if len(o.only) == 0 {
		return all
	}
	list := make([]arrangement, len(o.only))
	for i, name := range o.only {
		list[i] = all[slices.IndexFunc(all, named(name))]
	}
	return list
}

func (o *Options) runtimeName() string {
	return map[string]string{"kyu": "Kyu", "sidekiq": "Sidekiq 6.4.1"}[o.runtime]
}

// life is the time of life in a time of the experiment.
func (o *Options) life(d time.Duration) time.Duration {
	return time.Duration(float64(d) * o.speed)
}

// real is the time that the experiment takes for a time of life.
func (o *Options) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / o.speed)
}

// experiment is one run: all arrangements get the same load.
type experiment struct {
	*lab.Lab
	Options
	burst   burst
	burstAt time.Duration // of life
	load    []arrival
	longest time.Duration // of life, that a job takes
}

func newExperiment(o Options) (*experiment, error) {
	b, err := findBurst(o.burst)
	e := &experiment{Options: o, burst: b, burstAt: o.length / 6,
		longest: longestJob}
	if err == nil {
		e.load = workload(o.seed, o.busy, o.limit, e.burstAt, b)
	}
	return e, err
}

// Run plays the load on each arrangement, checks the known answers, prints tables to out, and
// writes the report.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	e, err := newExperiment(o)
	if err != nil {
		return err
	}
	if e.Lab, err = lab.Open(ctx); err != nil {
		return err
	}
	defer e.Close()
	fmt.Fprintf(out, "%s: the jobs of %v, %.0f times faster than life, on %s; at %v %s\n",
		o.runtimeName(), o.length, o.speed, lab.Processor(), e.burstAt, e.burst.story)
	var all []*outcome
	for _, a := range o.arrangements() {
		fmt.Fprintf(os.Stderr, "%s: %s (takes %v to %v)\n", a.Name, a.Story, o.real(o.length),
			o.real(o.limit))
		got, err := e.play(ctx, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		all = append(all, got)
	}
	if len(o.only) > 0 {
		newReport(e, all, nil, nil).printWaits(out)
		return nil
	}
	scenes, err := e.scenes(ctx)
	if err != nil {
		return err
	}
	answers, wrong := e.knownAnswers(ctx, scenes)
	r := newReport(e, all, scenes, answers)
	r.print(out)
	if err := r.write(o.dir, out); err != nil {
		return err
	}
	return wrong
}

// scenes plays the scenarios of lanes, which Sidekiq has not.
func (e *experiment) scenes(ctx context.Context) (list []played, err error) {
	if e.runtime != "kyu" {
		return nil, nil
	}
	for _, s := range scenarios() {
		fmt.Fprintf(os.Stderr, "%s (takes a minute)\n", s.Name)
		p, err := e.playAll(ctx, s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
