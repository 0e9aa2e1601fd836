package worker

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// tier is a group of loops that end together.
type tier struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  errgroup.Group
}

func newTier(parent context.Context) *tier {
	t := new(tier)
	t.ctx, t.cancel = context.WithCancel(parent)
	return t
}

// run starts loops, which run until end is called.
func (t *tier) run(loops ...func(context.Context) error) {
	for _, loop := range loops {
		t.group.Go(func() error { return loop(t.ctx) })
	}
}

// end tells the loops to end, waits for them, and returns the first error.
func (t *tier) end() error {
	t.cancel()
	return t.group.Wait()
}
