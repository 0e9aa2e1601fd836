// Package shards measures what several shards cost a worker: how many jobs it runs, and how much
// strict order across shards is worth, beside one Redis.
package shards

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
	"github.com/spf13/pflag"
)

// Options are the flags of the experiment.
type Options struct {
	counts []int
	takes  []time.Duration
	length time.Duration
	worker string

	processes int
}

const (
	threads = 15 // of each process
	burst   = 20 // jobs of a higher queue that are pushed at once
)

// names are the queues, in their order.
var names = []string{"hi", "mid", "low"}

// Flags defines the flags of the experiment.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.IntSliceVar(&o.counts, "shards", []int{1, 3}, "how many shards; one run for each number")
	f.DurationSliceVar(&o.takes, "takes", []time.Duration{10 * time.Millisecond,
		100 * time.Millisecond}, "how long a job takes; one run for each")
	f.DurationVar(&o.length, "length", 10*time.Second, "time that is measured in each run")
	f.IntVar(&o.processes, "processes", 4, "how many workers, of 15 threads each")
	f.StringVar(&o.worker, "worker", "bin/testworker", "the worker")
}

func (o *Options) check() error {
	for _, n := range o.counts {
		if n < 1 || n > 16 {
			return fmt.Errorf("--shards %d: want 1 to 16", n)
		}
	}
	for _, d := range o.takes {
		if d < time.Millisecond || d > time.Second {
			return fmt.Errorf("--takes %v: want 1ms to 1s", d)
		}
	}
	if o.processes < 1 || o.processes > 100 {
		return fmt.Errorf("--processes %d: want 1 to 100", o.processes)
	}
	if o.length < 2*time.Second || o.length > 10*time.Minute {
		return errors.New("want --length from 2s to 10m")
	}
	return nil
}

// Run measures each number of shards with jobs of each length, and prints a table.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %d cores, %s, %s; %d processes of %d threads; a third of the load is "+
		"for higher queues\n\n", time.Now().Format(time.DateOnly), lab.Cores(),
		runtime.Version(), lab.Processor(), o.processes, threads)
	var rows []outcome
	for _, takes := range o.takes {
		for _, n := range o.counts {
			r, err := measure(ctx, o, n, takes)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
	}
	show(out, rows)
	return nil
}

// run is one measurement.
type run struct {
	Options
	takes   time.Duration
	labs    []*lab.Lab
	workers []*exec.Cmd
	path    string // to which jobs write
}

// measure runs jobs of one length over n shards.
func measure(ctx context.Context, o Options, n int,
	takes time.Duration) (result outcome, err error) {
	r := &run{Options: o, takes: takes}
	defer r.close()
	for range n {
		l, err := lab.Open(ctx)
		if err != nil {
			return result, err
		}
		r.labs = append(r.labs, l)
	}
	r.path = r.labs[0].File("jobs")
	if err := r.fill(ctx); err != nil {
		return result, err
	}
	if err := r.start(); err != nil {
		return result, err
	}
	time.Sleep(3 * time.Second) // the workers start, and count each other
	began := time.Now()
	cpu, looks := r.cpu(), r.looks(ctx)
	if err := r.push(ctx, began.Add(o.length)); err != nil {
		return result, err
	}
	took := time.Since(began)
	cpu, looks = r.cpu()-cpu, r.looks(ctx)-looks
	for _, w := range r.workers {
		lab.Stop(w)
	}
	jobs, err := readJobs(r.path)
	if err != nil {
		return result, err
	}
	return judge(jobs, began, took, n, takes, cpu, looks), nil
}

// capacity is how many jobs all threads end in a second.
func (r *run) capacity() float64 { return float64(r.processes*threads) / r.takes.Seconds() }

func (r *run) args(name string) []any {
	return []any{r.path, name, time.Now().UnixMicro(), r.takes.Microseconds(), "-"}
}

// fill pushes more jobs of the lowest queue than can run.
func (r *run) fill(ctx context.Context) error {
	left := int(r.capacity() * (r.length.Seconds() + 5))
	for i := 0; left > 0; i++ {
		slice := make([][]any, min(left, 500))
		for k := range slice {
			slice[k] = r.args("low")
		}
		left -= len(slice)
		client := r.labs[i%len(r.labs)].Client
		if _, err := client.PushBulk(ctx, "Test::Work", slice,
			queue.Options{Queue: "low"}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) start() error {
	var env []string
	if len(r.labs) > 1 {
		list := "KYU_SHARDS="
		for i, l := range r.labs {
			list += "s" + strconv.Itoa(i) + " "
			env = append(env, fmt.Sprintf("KYU_SHARD_S%d_URL=%s", i, l.URL))
		}
		env = append(env, list)
	}
	args := []string{"--test-jobs", "-c", strconv.Itoa(threads), "--log-level", "warn"}
	for _, name := range names {
		args = append(args, "-q", name)
	}
	for range r.processes {
		cmd, err := r.labs[0].Spawn(false, env, r.worker, args...)
		if err != nil {
			return err
		}
		r.workers = append(r.workers, cmd)
	}
	return nil
}

// push pushes jobs of the higher queues, each to any shard, until a time.
func (r *run) push(ctx context.Context, until time.Time) error {
	each := time.Duration(float64(burst) / (r.capacity() / 3) * float64(time.Second))
	tick := time.NewTicker(each)
	defer tick.Stop()
	for time.Now().Before(until) && ctx.Err() == nil {
		for range burst {
			name := names[rand.IntN(2)]
			client := r.labs[rand.IntN(len(r.labs))].Client
			if _, err := client.Push(ctx, "Test::Work", r.args(name),
				queue.Options{Queue: name}); err != nil {
				return err
			}
		}
		<-tick.C
	}
	return ctx.Err()
}

// cpu is how many seconds of CPU all Redis servers have used.
func (r *run) cpu() (seconds float64) {
	for _, l := range r.labs {
		seconds += lab.CPUSeconds(l.RedisPID())
	}
	return seconds
}

// looks is how many looks the shards have answered: one reads the length of each queue.
func (r *run) looks(ctx context.Context) (n float64) {
	for _, l := range r.labs {
		n += float64(l.Calls(ctx, "llen")) / float64(len(names))
	}
	return n
}

func (r *run) close() {
	for _, w := range r.workers {
		lab.Stop(w)
	}
	for _, l := range r.labs {
		l.Close()
	}
}
