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
	names, err := c.everywhere(ctx, allQueues, nil)
	if err != nil || slices.Contains(names, s.to) {
		return err
	}
	err = c.withNames(ctx, fmt.Errorf("queue %s: %w: no process serves it, and no job was ever "+
		"pushed to it", s.to, queue.ErrNotFound), s.to, allQueues)
	return fmt.Errorf("%w; with --force the jobs go there nevertheless", err)
}
