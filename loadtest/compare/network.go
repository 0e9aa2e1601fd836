package compare

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// network drains over a connection whose round trip takes a millisecond longer.
func (c *comparison) network(ctx context.Context) error {
	fmt.Fprintln(c.out, "Drain with 1 ms of network in between, jobs/s")
	relay, err := newRelay(strings.TrimSuffix(strings.TrimPrefix(c.URL, "redis://"), "/0"),
		500*time.Microsecond)
	if err != nil {
		return err
	}
	defer relay.close()
	w := lab.Table(c.out, "\t-c 15\t-c 100")
	for _, r := range c.workers() {
		if r.name == "river" {
			continue // the relay leads to Redis
		}
		fmt.Fprint(w, r.name)
		for _, threads := range []int{15, 100} {
			speed, err := c.drainOver(ctx, relay, r, threads)
			if err != nil {
				return fmt.Errorf("%s -c %d: %w", r.name, threads, err)
			}
			fmt.Fprintf(w, "\t%.0f", speed)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintln(c.out)
	return nil
}

// drainOver fills the queue directly, and has a worker drain it over the relay.
func (c *comparison) drainOver(ctx context.Context, relay *relay, r rival,
	threads int) (float64, error) {
	n := int(20_000 * c.scale)
	if strings.HasPrefix(r.name, "kyu") {
		n *= 5
	}
	if err := r.pusher.fill(ctx, n, load{bytes: 60}); err != nil {
		return 0, err
	}
	direct := c.URL
	defer func() { c.URL = direct }()
	c.URL = relay.url
	f, err := race(ctx, r, threads, false, n)
	return f.JobsPerSec, err
}
