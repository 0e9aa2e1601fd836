package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// idle measures the CPU time, commands and RAM that Kyu's workers use without jobs.
func (c *comparison) idle(ctx context.Context) error {
	if c.before != "" {
		if err := c.idleWorker(ctx, "kyu before", c.before); err != nil {
			return err
		}
	}
	return c.idleWorker(ctx, "kyu", c.worker)
}

// idleWorker watches one worker, alone.
func (c *comparison) idleWorker(ctx context.Context, name, worker string) error {
	c.Raw.FlushAll(ctx)
	cmd, err := c.Spawn(false, nil, worker, "-c", "15")
	if err != nil {
		return err
	}
	defer lab.Stop(cmd)
	time.Sleep(2 * time.Second) // until it has started
	const span = 20 * time.Second
	cpu, calls := lab.CPUSeconds(cmd.Process.Pid), c.Commands(ctx)
	time.Sleep(span)
	fmt.Fprintf(c.out, "%s, idle for %v, -c 15, four queues: %.2f %% of a core, "+
		"%.1f commands/s, RSS %.1f MB\n", name, span,
		100*(lab.CPUSeconds(cmd.Process.Pid)-cpu)/span.Seconds(),
		float64(c.Commands(ctx)-calls)/span.Seconds(), lab.ResidentMB(cmd.Process.Pid))
	return nil
}
