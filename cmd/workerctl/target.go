package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// checkTarget refuses to move jobs to a queue that nobody knows: no process would take them.
func (s *selection) checkTarget(ctx context.Context, c *call) error {
	if s.to == "" || s.force {
		return nil
	}
	known, err := queueNames(ctx, c, nil)
	if err != nil {
		return err
	}
	processes, err := c.inspector.Processes(ctx)
	if err != nil {
		return err
	}
	for _, p := range processes {
		known = append(known, p.Queues...)
	}
	if slices.Contains(known, s.to) {
		return nil
	}
	return fmt.Errorf("queue %s: %w: no process serves it, and no job was ever pushed to it; is "+
		"the name right? With --force the jobs go there nevertheless", s.to, queue.ErrNotFound)
}
