package lanes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	Waited  time.Duration `json:"-"`                // its oldest job, for so long; 0 without one
	Weight  float64       `json:"weight,omitempty"` // if the rule names it
}

// MarshalJSON adds the times, in seconds.
func (l Lane) MarshalJSON() ([]byte, error) {
	type plain Lane
	return json.Marshal(struct {
		plain
		Opens  float64 `json:"opens_in_seconds"`
		Waited float64 `json:"waited_seconds"`
	}{plain(l), l.Opens.Seconds(), l.Waited.Seconds()})
}

// largestLooked is how many lanes Largest looks at.
const largestLooked = 20_000

// Largest returns up to count lanes with parked jobs, those with the most at first, of up to 20,000
// lanes. After them come lanes of which jobs only run.
func (c Control) Largest(ctx context.Context, name string, count int) (list []Lane, err error) {
	left := largestLooked
	for _, state := range []State{Full, Ready, Closed} {
		for from := 0; left > 0; from += pageCount {
			page, err := c.List(ctx, name, state, from, min(pageCount, left))
			if err != nil {
				return nil, err
			}
			left -= len(page)
			list = append(list, slices.DeleteFunc(page, func(l Lane) bool {
				return l.State != Closed && l.Parked == 0 // it has just moved on
			})...)
			slices.SortStableFunc(list, func(a, b Lane) int {
				return cmp.Compare(b.Parked, a.Parked)
			})
			list = list[:min(len(list), count)]
			if len(page) < pageCount {
				break
			}
		}
	}
	if len(list) == count {
		return list, nil
	}
	idle, err := c.List(ctx, name, Idle, 0, count-len(list))
	idle = slices.DeleteFunc(idle, func(l Lane) bool {
		return slices.ContainsFunc(list, func(other Lane) bool { return l.Name == other.Name })
	})
	return append(list, idle...), err
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
	jobs, pipe := make([]string, len(list)), c.Store.DB().Shared.Pipeline()
	running, weights := make([]*redis.StringCmd, len(list)), make([]*redis.StringCmd, len(list))
	for i, lane := range list {
		jobs[i] = ks.Key(laneKey(name, lane.Name))
		running[i] = pipe.HGet(ctx, keys[5], lane.Name)
		weights[i] = pipe.HGet(ctx, keys[0], "w:"+lane.Name)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	lines, err := c.Store.Lines(ctx, jobs)
	if err != nil {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	for i, line := range lines {
		list[i].Parked, list[i].Waited = line.Size, line.Age
		list[i].Running, _ = running[i].Int64()
		list[i].Weight, _ = strconv.ParseFloat(weights[i].Val(), 64)
	}
	return nil
}
