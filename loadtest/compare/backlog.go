package compare

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
)

// backlogs compare a fetch from a long queue with one from a short queue.
func (c *comparison) backlogs(ctx context.Context) error {
	fmt.Fprintln(c.out, "Fetch and acknowledge one job, microseconds; medians of 5 times 5,000")
	w := lab.Table(c.out, "backlog\tp50\tp99")
	defer c.Raw.FlushAll(ctx)
	for _, n := range []int{30_000, c.backlog} {
		if err := c.fillBacklog(ctx, n); err != nil {
			return err
		}
		var p50s, p99s []float64
		for range 5 {
			took, err := c.fetches(ctx, 5000)
			if err != nil {
				return err
			}
			p50s = append(p50s, lab.Quantile(took, 0.50))
			p99s = append(p99s, lab.Quantile(took, 0.99))
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\n", n, lab.Median(p50s), lab.Median(p99s))
	}
	w.Flush()
	fmt.Fprintln(c.out)
	return nil
}

func (c *comparison) fillBacklog(ctx context.Context, n int) error {
	c.Raw.FlushAll(ctx)
	for left := n; left > 0; left -= 1_000_000 {
		args := make([][]any, min(left, 1_000_000))
		for i := range args {
			args[i] = []any{i, "abcdefghijklmnopqrstuvwxyzabcdef"}
		}
		if _, err := c.Client.PushBulk(ctx, "Test::NoOp", args, queue.Options{}); err != nil {
			return err
		}
	}
	return nil
}

// fetches gives the microseconds that n fetches took, in order of size. Each fetch but the
// first acknowledges the job of the one before.
func (c *comparison) fetches(ctx context.Context, n int) (took []float64, err error) {
	owner := c.Store.Owner(fmt.Sprintf("backlog:%d:%d", os.Getpid(), time.Now().UnixNano()))
	if err := owner.Register(ctx, queue.Host{}, []string{"default"}, time.Hour); err != nil {
		return nil, err
	}
	var done []*queue.Delivery
	for range n {
		start := time.Now()
		got, err := owner.Fetch(ctx, queue.FetchRequest{Queues: []string{"default"}, Want: 1,
			First: c.Store.Tokens(1), Done: done})
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(start).Seconds()*1e6)
		done = got.Own()
	}
	slices.Sort(took)
	return took, nil
}
