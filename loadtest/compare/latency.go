package compare

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// idleSpan is how long processes are watched without jobs. The commands that they send then,
// for leases and statistics, are subtracted from those that they send under load.
const idleSpan = 10 * time.Second

// latency is the time from push to start of jobs that find the workers asleep.
type latency struct {
	waits  []float64 // microseconds, in order of size
	perJob float64   // commands to Redis, beyond those of idle processes and of the push
}

// latencies measure jobs that come at 200 a second, to 1 and to 20 idle processes.
func (c *comparison) latencies(ctx context.Context) error {
	fmt.Fprintln(c.out, "Push to start at 200 jobs/s, -c 15, idle: milliseconds")
	w := lab.Table(c.out, "\tprocesses\tp50\tp99\tmax\tcommands/job beyond those at rest")
	for _, r := range c.workers() {
		for _, processes := range []int{1, 20} {
			if processes > 1 && (r.name == "sidekiq" || r.name == "river") {
				continue // 20 Ruby processes, or 640 connections, need more RAM than there is
			}
			l, err := c.latency(ctx, r, processes, int(2000*c.scale))
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			at := func(share float64) float64 { return lab.Quantile(l.waits, share) / 1000 }
			fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\n", r.name, processes, at(0.5),
				at(0.99), at(1), l.perJob)
		}
	}
	w.Flush()
	fmt.Fprintln(c.out)
	return nil
}

// latency of one rival with n jobs.
func (c *comparison) latency(ctx context.Context, r rival, processes, n int) (latency, error) {
	if err := r.pusher.fill(ctx, 0, load{}); err != nil {
		return latency{}, err
	}
	stopAll, err := startAll(r, processes)
	if err != nil {
		return latency{}, err
	}
	defer stopAll()
	before := c.Commands(ctx)
	time.Sleep(idleSpan)
	calls, start := c.Commands(ctx), time.Now()
	idle := float64(calls-before) / idleSpan.Seconds()
	path := c.File("stamps-" + strconv.Itoa(processes) + r.name)
	if err := r.pusher.trickle(ctx, n, path); err != nil {
		return latency{}, err
	}
	time.Sleep(2 * time.Second) // for the last jobs
	sent := float64(c.Commands(ctx)-calls) - idle*time.Since(start).Seconds()
	waits, err := readNumbers(path)
	if err == nil && len(waits) < n {
		err = fmt.Errorf("%d of %d jobs have run", len(waits), n)
	}
	return latency{waits, sent/float64(n) - 1}, err
}

// startAll starts processes and returns when all wait for jobs.
func startAll(r rival, processes int) (stopAll func(), err error) {
	var cmds []*exec.Cmd
	stopAll = func() {
		for _, cmd := range cmds {
			lab.Stop(cmd)
		}
	}
	for range processes {
		cmd, err := r.start(15, false)
		if err != nil {
			stopAll()
			return nil, err
		}
		cmds = append(cmds, cmd)
	}
	time.Sleep(time.Duration(2000+150*processes) * time.Millisecond)
	return stopAll, nil
}

// readNumbers reads a file with a number in each line, and sorts the numbers.
func readNumbers(path string) (numbers []float64, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(string(b)) {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers, nil
}
