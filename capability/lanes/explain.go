package lanes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// Explain says why a lane's jobs do not run now. It says nothing about jobs in other places.
func (c Control) Explain(ctx context.Context, p inspect.Place) ([]inspect.Reason, error) {
	if p.Kind != inspect.InLane {
		return nil, nil
	}
	s, err := c.Status(ctx, p.Queue)
	if err != nil {
		return nil, err
	}
	l, err := c.Lane(ctx, p.Queue, p.Lane)
	if err != nil {
		return nil, err
	}
	do := ""
	if l.State == Closed {
		do = "workerctl lanes open " + p.Queue + " " + p.Lane
	}
	return []inspect.Reason{{Text: s.why(l), Do: do}}, nil
}

// why says why the jobs of a lane do not run now.
func (s *Status) why(l Lane) string {
	switch {
	case !s.On():
		return fmt.Sprintf("the lanes of the queue %s are off: a worker puts the job back into "+
			"the queue", s.Queue)
	case l.State == Closed:
		return fmt.Sprintf("the lane %q is closed for another %v: by its rate (%s), or because a "+
			"job was told to wait", l.Name, l.Opens.Round(time.Second), s.Rule)
	case l.State == Full:
		return fmt.Sprintf("the lane %q is full: %d of its jobs run, and the rule is %s", l.Name,
			l.Running, s.Rule)
	}
	return fmt.Sprintf("the lane %q waits for its turn among %d lanes, or for a thread; the rule "+
		"is %s", l.Name, s.Ready, s.Rule)
}

// Lane returns one lane of a queue. It is Idle if it has no parked jobs.
func (c Control) Lane(ctx context.Context, name, lane string) (l Lane, err error) {
	l = Lane{Name: lane, State: Idle}
	keys, pipe := callKeys(c.Store.Keys(), name), c.Store.DB().Shared.Pipeline()
	full, closed := pipe.ZScore(ctx, keys[2], lane), pipe.ZScore(ctx, keys[3], lane)
	ready := pipe.ZScore(ctx, keys[1], lane)
	_, _ = pipe.Exec(ctx) // the replies have the errors
	for _, x := range []struct {
		state State
		err   error
	}{{Ready, ready.Err()}, {Full, full.Err()}, {Closed, closed.Err()}} {
		switch {
		case x.err == nil:
			l.State = x.state
		case !errors.Is(x.err, redis.Nil):
			return l, fmt.Errorf("lane %s of %s: %w", lane, name, x.err)
		}
	}
	if l.State == Closed {
		l.Opens = max(0, time.Until(time.UnixMilli(int64(closed.Val()))))
	}
	list := []Lane{l}
	err = c.fill(ctx, name, list)
	return list[0], err
}
