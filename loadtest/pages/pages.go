// Package pages measures how long the dashboard's pages take beside millions of jobs.
package pages

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/spf13/pflag"
)

// Options are the flags of the experiment.
type Options struct {
	retries  int
	queued   int
	rate     float64 // requests a second, over all pages
	length   time.Duration
	searches int
}

// Flags defines the flags of the experiment.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.IntVar(&o.retries, "retries", 1_000_000, "how many jobs wait for a retry")
	f.IntVar(&o.queued, "queued", 10_000_000, "how many jobs are in a queue")
	f.Float64Var(&o.rate, "rate", 10, "requests a second, which go to all pages in turn")
	f.DurationVar(&o.length, "length", 2*time.Minute, "time that is measured")
	f.IntVar(&o.searches, "searches", 5, "how often each search is made, one after the other")
}

func (o *Options) check() error {
	if o.retries < 1 || o.queued < 1 || o.rate <= 0 || o.length < time.Second || o.searches < 1 {
		return errors.New("want --retries, --queued and --searches of 1 or more, --rate over 0, " +
			"and --length of 1s or more")
	}
	return nil
}

// Run fills a Redis, starts bin/dashboard on it, and prints a table of its pages to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	l, err := lab.Open(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintf(os.Stderr, "filling Redis with %d jobs\n", o.retries+o.queued)
	if err := fill(ctx, l.Raw, o.retries, o.queued); err != nil {
		return err
	}
	server, base, err := start(ctx, l.URL)
	if err != nil {
		return err
	}
	defer lab.Stop(server)
	paths, left, err := pagesOf(l)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d retries, %d queued jobs; %g requests a second for %v, to %d pages in "+
		"turn; %d cores of %s\n", o.retries, o.queued, o.rate, o.length, len(paths), lab.Cores(),
		lab.Processor())
	if len(left) > 0 {
		fmt.Fprintf(out, "not measured, because there is no example: %s\n",
			strings.Join(left, ", "))
	}
	return o.measure(ctx, l, server.Process.Pid, base, paths, out)
}

// measure asks for the pages, then searches, and prints what each took.
func (o *Options) measure(ctx context.Context, l *lab.Lab, pid int, base string, paths []string,
	out io.Writer) error {
	if err := watchSlow(ctx, l.Raw); err != nil {
		return err
	}
	c := newClient(base)
	defer c.close()
	began := lab.CPUSeconds(pid)
	c.steadily(ctx, o.rate, o.length, paths)
	cpu := (lab.CPUSeconds(pid) - began) / o.length.Seconds()
	slow, err := slowest(ctx, l.Raw)
	if err != nil {
		return err
	}
	c.inTurn(ctx, o.searches, searches)
	if err := errors.Join(ctx.Err(), c.err()); err != nil {
		return err
	}
	table := lab.Table(out, "page\trequests\tp50 ms\tp95\tp99\tmax\t")
	for _, path := range slices.Concat(paths, searches) {
		took := c.took[path]
		slices.Sort(took)
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t\n", path, len(took),
			lab.Quantile(took, 0.5), lab.Quantile(took, 0.95), lab.Quantile(took, 0.99),
			lab.Quantile(took, 1))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the dashboard: %.0f MB, %.0f %% of a core without the searches; "+
		"the longest call of Redis without them: %s\n", lab.ResidentMB(pid), cpu*100, slow)
	return err
}

// start starts the dashboard, and returns its URL.
func start(ctx context.Context, redis string) (*exec.Cmd, string, error) {
	cmd := exec.CommandContext(ctx, "bin/dashboard", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "REDIS_URL="+redis)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("%w: run `make build`", err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "url="); ok {
			go io.Copy(os.Stderr, log) // ends with the program
			return cmd, strings.TrimSuffix(url, "/"), nil
		}
	}
	lab.Kill(cmd)
	return nil, "", errors.New("the dashboard does not start")
}
