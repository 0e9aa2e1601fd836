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

// The origins of a rule. A worker's configuration replaces none that a person has set, and a
// program's default replaces none.
const (
	originHand    = "hand"
	originConfig  = "config"
	originDefault = "default"
)

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
	Origin  string    `json:"origin"`           // hand, config or default
	Changed time.Time `json:"changed,omitzero"`
	// Suspended is the time for which lanes are off, because a bulk operation goes through the
	// queue.
	Suspended time.Duration `json:"-"`
	// Seen is when a process that moves the queue's jobs to lanes noted that it is there, by
	// Redis's clock: each does every 5 seconds.
	Seen time.Time `json:"seen,omitzero"`
	// BesideRuby says that lanes stay on while processes of Ruby's serve the queue.
	BesideRuby bool  `json:"beside_ruby,omitempty"`
	Running    int64 `json:"running"` // jobs that hold a place in a lane
	Parked     int64 `json:"parked"`  // jobs in lanes that do not run
	Ready      int64 `json:"ready"`   // lanes whose next job waits for a thread
	Full       int64 `json:"full"`    // lanes whose jobs wait for one that runs
	Closed     int64 `json:"closed"`  // lanes whose time has not come: a rate, or a 429
}

// On reports whether lanes are on.
func (s *Status) On() bool { return s.State == stateOn && s.Beside == "" && s.Suspended == 0 }

// Off reports whether a person has turned lanes off.
func (s *Status) Off() bool { return s.State == stateOff }

// row are values of a hash.
type row []any

func (r row) text(i int) string  { v, _ := r[i].(string); return v }
func (r row) number(i int) int64 { n, _ := strconv.ParseInt(r.text(i), 10, 64); return n }

// isOn reports whether lanes are on by the fields state, beside, besides and until of a rule, from
// the given field on. now is Redis's time.
func (r row) isOn(from int, now time.Time) bool {
	return r.text(from) == stateOn && (r.text(from+1) == "" || r.text(from+2) == "1") &&
		r.number(from+3) < now.UnixMilli()
}

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
		"running", "parked", "seen", "until")
	now := pipe.Time(ctx)
	sets := make([]*redis.IntCmd, 3)
	for i := range sets {
		sets[i] = pipe.ZCard(ctx, keys[1+i])
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return s, fmt.Errorf("lanes of %s: %w", name, err)
	}
	f := row(fields.Val())
	if f.text(1) == "" {
		return s, fmt.Errorf("%w: %s", ErrNoRule, name)
	}
	s = Status{Queue: name, Rule: f.text(0), State: f.text(1), Origin: f.text(4),
		Running: f.number(6), Parked: f.number(7), Ready: sets[0].Val(), Full: sets[1].Val(),
		Closed: sets[2].Val(), BesideRuby: f.text(3) == "1"}
	if !s.BesideRuby {
		s.Beside = f.text(2)
	}
	if ms := f.number(9); ms > 0 {
		s.Suspended = max(0, time.UnixMilli(ms).Sub(now.Val()))
	}
	if ms := f.number(8); ms > 0 {
		s.Seen = time.UnixMilli(ms)
	}
	if ms := f.number(5); ms > 0 {
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
		return c.set(ctx, name, r, originConfig)
	case err != nil:
		return err
	case s.Origin == originHand || s.Rule == r.String() && s.State == stateOn:
		return nil
	}
	return c.set(ctx, name, r, originConfig)
}

// OfferDefault gives a queue a rule if it has none and never had one.
func (c Control) OfferDefault(ctx context.Context, name string, r Rule) error {
	_, err := c.Status(ctx, name)
	if errors.Is(err, ErrNoRule) {
		return c.set(ctx, name, r, originDefault)
	}
	return err
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
