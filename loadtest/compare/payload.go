package compare

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// payloads drain jobs of the size of a delivery.
func (c *comparison) payloads(ctx context.Context) error {
	fmt.Fprintln(c.out, "Drain of jobs of 3.3 kB, -c 15, jobs/s; medians of 3")
	w := lab.Table(c.out, "\tjobs/s")
	for _, r := range c.workers() {
		n := int(float64(r.jobs(15)) * c.scale / 4)
		speed, err := medianSpeed(ctx, r, 15, n, load{bytes: 3100})
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Fprintf(w, "%s\t%.0f\n", r.name, speed)
	}
	w.Flush()
	fmt.Fprintln(c.out)
	return nil
}
