package compare

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// efficiencies compare the time that jobs of 10 ms take with the time they would take if
// nothing else took any. The jobs wait for the kernel, as most jobs do, and once more for a
// timer of Go's runtime. Those timers are up to a millisecond late (epoll_wait counts in
// milliseconds), so that the second figures measure the timers too.
func (c *comparison) efficiencies(ctx context.Context) error {
	fmt.Fprintln(c.out, "Jobs of 10 ms: ideal time / actual time, from the first job to the "+
		"last; medians of 3")
	w := lab.Table(c.out, "\t-c 15\t-c 100\tGo's timers: -c 15\t-c 100")
	for _, r := range c.workers() {
		fmt.Fprint(w, r.name)
		for _, goTimer := range []bool{false, true} {
			for _, threads := range []int{15, 100} {
				if goTimer && r.name == "sidekiq" {
					fmt.Fprint(w, "\t")
					continue
				}
				e, err := c.efficiency(ctx, r, threads, load{ms: 10, goTimer: goTimer})
				if err != nil {
					return fmt.Errorf("%s -c %d: %w", r.name, threads, err)
				}
				fmt.Fprintf(w, "\t%.3f", e)
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintln(c.out)
	return nil
}

// efficiency of a rival: the median of 3 tries, of six seconds each.
func (c *comparison) efficiency(ctx context.Context, r rival, threads int,
	l load) (float64, error) {
	speed, err := medianSpeed(ctx, r, threads, int(float64(threads)*600*c.scale), l)
	return speed * float64(l.ms) / 1000 / float64(threads), err
}

// medianSpeed is the median of 3 drains of n jobs, in jobs a second.
func medianSpeed(ctx context.Context, r rival, threads, n int, l load) (float64, error) {
	var tries []float64
	for range 3 {
		if err := r.pusher.fill(ctx, n, l); err != nil {
			return 0, err
		}
		f, err := race(ctx, r, threads, false, n)
		if err != nil {
			return 0, err
		}
		tries = append(tries, f.JobsPerSec)
	}
	return lab.Median(tries), nil
}
