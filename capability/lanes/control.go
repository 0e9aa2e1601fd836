package lanes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	stateOn  = "on"
	stateOff = "off"
)

// originHand says that a person has set a rule, so the configuration of a worker does not change
// it.
const originHand = "hand"

// ErrNoRule says that a queue has no rule.
var ErrNoRule = errors.New("the queue has no lanes")

// Control shows and changes the lanes of queues. Its Store must have been opened with Capability().
type Control struct{ Store *queue.Store }

// Status is what Redis says about the lanes of a queue.
type Status struct {
	Queue   string    `json:"queue"`
	Rule    string    `json:"rule"`
	State   string    `json:"state"`            // on or off
	Beside  string    `json:"beside,omitempty"` // process of Ruby's for which lanes are off
	Origin  string    `json:"origin"`           // hand, or config
	Changed time.Time `json:"changed,omitzero"`
	Running int64     `json:"running"` // jobs that hold a place in a lane
	Parked  int64     `json:"parked"`  // jobs in lanes that do not run
	Ready   int64     `json:"ready"`   // lanes whose next job waits for a thread
	Full    int64     `json:"full"`    // lanes whose jobs wait for one that runs
	Closed  int64     `json:"closed"`  // lanes whose time has not come: by their rate, or after a 429
}

// On reports whether lanes are on.
func (s *Status) On() bool { return s.State == stateOn && s.Beside == "" }

// Queues returns the queues that have a rule, sorted.
func (c Control) Queues(ctx context.Context) ([]string, error) {
	list, err := c.Store.DB().Shared.SMembers(ctx, c.Store.Keys().Key(keyQueues)).Result()
	if err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	slices.Sort(list)
	return list, nil
}

// Status returns the lanes of a queue. The error is ErrNoRule if it has none.
func (c Control) Status(ctx context.Context, name string) (s Status, err error) {
	keys := callKeys(c.Store.Keys(), name)
	pipe := c.Store.DB().Shared.Pipeline()
	fields := pipe.HMGet(ctx, keys[0], "text", "state", "beside", "besides", "origin", "at",
		"running", "parked")
	sets := make([]*redis.IntCmd, 3)
	for i := range sets {
		sets[i] = pipe.ZCard(ctx, keys[1+i])
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return s, fmt.Errorf("lanes of %s: %w", name, err)
	}
	text := func(i int) string { v, _ := fields.Val()[i].(string); return v }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	if text(1) == "" {
		return s, fmt.Errorf("%w: %s", ErrNoRule, name)
	}
	s = Status{Queue: name, Rule: text(0), State: text(1), Origin: text(4), Running: number(6),
		Parked: number(7), Ready: sets[0].Val(), Full: sets[1].Val(), Closed: sets[2].Val()}
	if text(3) != "1" {
		s.Beside = text(2)
	}
	if ms := number(5); ms > 0 {
		s.Changed = time.UnixMilli(ms)
	}
	return s, nil
}

// Parked returns, for queues with a rule, how many jobs are parked in their lanes.
func (c Control) Parked(ctx context.Context) (map[string]int64, error) {
	names, err := c.Queues(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	pipe := c.Store.DB().Shared.Pipeline()
	counts := make([]*redis.StringCmd, len(names))
	for i, name := range names {
		counts[i] = pipe.HGet(ctx, c.Store.Keys().Key(ruleKey(name)), "parked")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	parked := map[string]int64{}
	for i, name := range names {
		parked[name], _ = counts[i].Int64()
	}
	return parked, nil
}

// Set gives a queue a rule, and turns its lanes on. Jobs that run keep their places. If the key is
// another one than before, parked jobs go back to the list first, and then to their new lanes.
func (c Control) Set(ctx context.Context, name string, r Rule) error {
	return c.set(ctx, name, r, originHand)
}

func (c Control) set(ctx context.Context, name string, r Rule, origin string) error {
	if err := r.check(); err != nil {
		return err
	}
	rule := c.Store.Keys().Key(ruleKey(name))
	key, err := c.Store.DB().Own.HGet(ctx, rule, "key").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	if err == nil && key != r.Key.text {
		if _, err := c.Drain(ctx, name); err != nil {
			return err
		}
	}
	args := append([]any{name, "", "state", stateOn, "origin", origin}, r.fields()...)
	db := c.Store.DB()
	if err := db.RunOwn(ctx, setScript, callKeys(c.Store.Keys(), name, keyQueues),
		args...).Err(); err != nil {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	return c.relist(ctx, name)
}

// relist makes lanes ready for which the rule has room now.
func (c Control) relist(ctx context.Context, name string) error {
	for skip := 0; ; {
		reply, err := c.Store.DB().RunOwn(ctx, relistScript, callKeys(c.Store.Keys(), name), skip,
			pageCount).Int64Slice()
		if err != nil {
			return fmt.Errorf("lanes of %s: %w", name, err)
		}
		if skip += int(reply[0]); reply[0]+reply[1] < pageCount {
			return nil
		}
	}
}

// Offer gives a queue the rule of a worker's configuration, unless a person has set one or turned
// the lanes off.
func (c Control) Offer(ctx context.Context, name string, r Rule) error {
	s, err := c.Status(ctx, name)
	switch {
	case errors.Is(err, ErrNoRule):
		return c.set(ctx, name, r, "config")
	case err != nil:
		return err
	case s.Origin == originHand || s.Rule == r.String() && s.State == stateOn:
		return nil
	}
	return c.set(ctx, name, r, "config")
}

// Drain turns the lanes of a queue off, and gives parked jobs back to the end of the list that is
// taken next. It returns how many. Jobs that run go on. Set turns lanes on again.
func (c Control) Drain(ctx context.Context, name string) (n int, err error) {
	if _, err := c.Status(ctx, name); err != nil {
		return 0, err
	}
	rule := c.Store.Keys().Key(ruleKey(name))
	if err := c.Store.DB().Own.HSet(ctx, rule, "state", stateOff, "origin",
		originHand).Err(); err != nil {
		return 0, fmt.Errorf("lanes of %s: %w", name, err)
	}
	for {
		moved, err := c.drainSome(ctx, name)
		if n += moved; err != nil || moved == 0 {
			return n, err
		}
	}
}

// drainSome gives one page of parked jobs back, and returns how many: 0 if there are none, or if
// lanes are on.
func (c Control) drainSome(ctx context.Context, name string) (int, error) {
	ks := c.Store.Keys()
	keys := append(callKeys(ks, name), ks.Queues())
	n, err := c.Store.DB().RunOwn(ctx, drainScript, keys, name, drainCount).Int()
	if err != nil {
		return 0, fmt.Errorf("lanes of %s: %w", name, err)
	}
	return max(n, 0), nil
}

// Close closes a lane of a queue for a time, or opens it if the time is 0.
func (c Control) Close(ctx context.Context, name, lane string, d time.Duration) error {
	if _, err := c.Status(ctx, name); err != nil {
		return err
	}
	err := c.Store.DB().RunOwn(ctx, closeScript, callKeys(c.Store.Keys(), name), lane,
		d.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("lane %s of %s: %w", lane, name, err)
	}
	return nil
}

// Forget removes the rule of a queue, if its lanes are off and nothing is in them. It reports
// whether it was removed.
func (c Control) Forget(ctx context.Context, name string) (bool, error) {
	if _, err := c.Status(ctx, name); err != nil {
		return false, err
	}
	n, err := c.Store.DB().RunOwn(ctx, forgetScript, callKeys(c.Store.Keys(), name, keyQueues),
		name).Int()
	if err != nil {
		return false, fmt.Errorf("lanes of %s: %w", name, err)
	}
	return n == 1, nil
}
