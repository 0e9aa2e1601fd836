package lanes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// State says why the jobs of a lane do not run now.
type State string

const (
	Ready  State = "ready"  // its next job waits for a thread
	Full   State = "full"   // its jobs wait for one that runs
	Closed State = "closed" // its time has not come: by its rate, or after a 429
	Idle   State = "idle"   // it has no parked jobs; some run
)

// Lane is a lane of a queue.
type Lane struct {
	Name    string        `json:"lane"` // "" has no limits
	State   State         `json:"state"`
	Parked  int64         `json:"parked"`
	Running int64         `json:"running"`
	Opens   time.Duration `json:"-"`                // Closed: the time that is left
	Since   time.Duration `json:"-"`                // how long its oldest job has waited; 0 without one
	Next    string        `json:"next,omitempty"`   // payload of its oldest job
	Weight  float64       `json:"weight,omitempty"` // if the rule names it
}

// List returns up to count lanes of a state, from a position on, those whose turn is next at first.
func (c Control) List(ctx context.Context, name string, state State, from, count int) ([]Lane,
	error) {
	keys := callKeys(c.Store.Keys(), name)
	set := map[State]string{Ready: keys[1], Full: keys[2], Closed: keys[3]}[state]
	if set == "" {
		return c.idle(ctx, name, count)
	}
	rows, err := c.Store.DB().Shared.ZRangeWithScores(ctx, set, int64(from),
		int64(from+count-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("lanes of %s: %w", name, err)
	}
	list := make([]Lane, len(rows))
	for i, row := range rows {
		list[i].Name, _ = row.Member.(string)
		list[i].State = state
		if state == Closed {
			list[i].Opens = max(0, time.Until(time.UnixMilli(int64(row.Score))))
		}
	}
	return list, c.fill(ctx, name, list)
}

// idle returns lanes with jobs that run and none that are parked.
func (c Control) idle(ctx context.Context, name string, count int) (list []Lane, err error) {
	keys := callKeys(c.Store.Keys(), name)
	iter := c.Store.DB().Shared.HScan(ctx, keys[5], 0, "", 1000).Iterator()
	for iter.Next(ctx) {
		lane := iter.Val()
		if !iter.Next(ctx) {
			break
		}
		list = append(list, Lane{Name: lane, State: Idle})
		if len(list) == 10*count {
			break
		}
	}
	if err := iter.Err(); err != nil {
		return nil, fmt.Errorf("lanes of %s: %w", name, err)
	}
	if err := c.fill(ctx, name, list); err != nil {
		return nil, err
	}
	idle := list[:0]
	for _, lane := range list {
		if lane.Parked == 0 && len(idle) < count {
			idle = append(idle, lane)
		}
	}
	return idle, nil
}

// fill reads the figures of lanes.
func (c Control) fill(ctx context.Context, name string, list []Lane) error {
	if len(list) == 0 {
		return nil
	}
	keys, ks := callKeys(c.Store.Keys(), name), c.Store.Keys()
	pipe := c.Store.DB().Shared.Pipeline()
	type reply struct {
		parked     *redis.IntCmd
		running, w *redis.StringCmd
		next       *redis.StringCmd
	}
	replies := make([]reply, len(list))
	for i, lane := range list {
		jobs := ks.Key(laneKey(name, lane.Name))
		replies[i] = reply{pipe.LLen(ctx, jobs), pipe.HGet(ctx, keys[5], lane.Name),
			pipe.HGet(ctx, keys[0], "w:"+lane.Name), pipe.LIndex(ctx, jobs, -1)}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	for i, r := range replies {
		list[i].Parked, list[i].Next = r.parked.Val(), r.next.Val()
		list[i].Running, _ = r.running.Int64()
		list[i].Weight, _ = strconv.ParseFloat(r.w.Val(), 64)
	}
	return nil
}
