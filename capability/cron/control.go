package cron

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/control.lua
	controlLua    string
	controlScript = redisdb.NewScript(controlLua)
)

// Status is what Redis says about an entry.
type Status struct {
	Entry
	Schedule string    `json:"schedule"`
	State    State     `json:"state"`
	Last     time.Time `json:"last,omitzero"`   // slot that was pushed or skipped last
	Next     time.Time `json:"next,omitzero"`   // slot to come; zero if none will
	Paused   time.Time `json:"paused,omitzero"` // since when
	JID      string    `json:"jid,omitempty"`   // of the job that was pushed last
	Locked   string    `json:"locked,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why its spec cannot be read
}

// State says whether an entry has slots.
type State string

const (
	Active   State = "active"
	Paused   State = "paused"   // by a person
	Disabled State = "disabled" // by its schedule
	RubyOff  State = "ruby-off" // disabled on the page of the Ruby gem beside it
	Orphan   State = "orphan"   // the schedule that counts does not have it any more
	Unserved State = "unserved" // no process of its schedule has been there for a minute
)

// Run is a slot that was pushed or skipped.
type Run struct {
	Slot    time.Time `json:"slot,omitzero"` // zero: a person ran the entry
	At      time.Time `json:"at"`
	JID     string    `json:"jid,omitempty"`
	Skipped string    `json:"skipped,omitempty"` // why: queue, latency, overlap or ruby
}

// Control shows and changes the entries in Redis. Its Store must have been opened with Capability().
type Control struct{ Store *queue.Store }

// owner is the schedule that counts, of those with a name.
type owner struct {
	names []string
	seen  time.Time
}

// List returns all entries, by name.
func (c Control) List(ctx context.Context) ([]Status, error) {
	rdb, ks := c.Store.DB().Shared, c.Store.Keys()
	names, err := rdb.SMembers(ctx, ks.Key(keyNames)).Result()
	if err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	slices.Sort(names)
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	owners, list := map[string]owner{}, []Status{}
	for _, name := range names {
		s, err := c.status(ctx, name, now, owners)
		if errors.Is(err, queue.ErrNotFound) {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Show returns an entry and its last runs, the latest first. The error is queue.ErrNotFound if there
// is no such entry.
func (c Control) Show(ctx context.Context, name string) (Status, []Run, error) {
	now, err := c.Store.DB().Shared.Time(ctx).Result()
	if err != nil {
		return Status{}, nil, fmt.Errorf("cron: %w", err)
	}
	s, err := c.status(ctx, name, now, map[string]owner{})
	if err != nil {
		return Status{}, nil, err
	}
	lines, err := c.Store.DB().Shared.LRange(ctx, c.Store.Keys().Key(runsKey(name)), 0, -1).Result()
	if err != nil {
		return Status{}, nil, fmt.Errorf("the runs of entry %s: %w", name, err)
	}
	runs := []Run{}
	for _, line := range lines {
		if r, ok := parseRun(line); ok {
			runs = append(runs, r)
		}
	}
	return s, runs, nil
}

// status reads an entry.
func (c Control) status(ctx context.Context, name string, now time.Time,
	owners map[string]owner) (s Status, err error) {
	rdb, ks := c.Store.DB().Shared, c.Store.Keys()
	pipe := rdb.Pipeline()
	all := pipe.HGetAll(ctx, ks.Key(entryKey(name)))
	lock := pipe.Get(ctx, ks.Key(lockKey(name)))
	off := pipe.HGet(ctx, ks.Key(keyStates), name)
	cronOff := pipe.HGet(ctx, ks.Key(cronJobKey(name)), "status")
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return s, fmt.Errorf("entry %s: %w", name, err)
	}
	fields := all.Val()
	if fields["spec"] == "" {
		return s, fmt.Errorf("entry %s: %w", name, queue.ErrNotFound)
	}
	if s.Entry, err = parseSpec(fields["spec"]); err != nil {
		s.Entry, s.Problem = Entry{Name: name}, err.Error()
	}
	s.Schedule, s.JID, s.Locked = fields["by"], fields["jid"], lock.Val()
	s.Last, s.Paused = millis(fields["last"]), millis(fields["paused"])
	o, known := owners[s.Schedule]
	if !known {
		if o, err = c.owner(ctx, s.Schedule); err != nil {
			return s, err
		}
		owners[s.Schedule] = o
	}
	ruby := s.Beside == SidekiqScheduler && strings.Contains(off.Val(), `"enabled":false`) ||
		s.Beside == SidekiqCron && cronOff.Val() == "disabled"
	s.State = o.state(&s, now, ruby)
	if t, err := s.timing(); err == nil && (s.State == Active || s.State == Paused) {
		s.Next = t.next(later(s.Last, now))
	}
	return s, nil
}

func (c Control) owner(ctx context.Context, schedule string) (o owner, err error) {
	fields, err := c.Store.DB().Shared.HGetAll(ctx, c.Store.Keys().Key(ownerKey(schedule))).Result()
	if err != nil {
		return o, fmt.Errorf("schedule %s: %w", schedule, err)
	}
	_ = json.Unmarshal([]byte(fields["names"]), &o.names) // broken: no entry is in it
	o.seen = millis(fields["seen"])
	return o, nil
}

func (o owner) state(s *Status, now time.Time, rubyOff bool) State {
	switch {
	case !slices.Contains(o.names, s.Name):
		return Orphan
	case s.Disabled:
		return Disabled
	case !s.Paused.IsZero():
		return Paused
	case rubyOff:
		return RubyOff
	case now.Sub(o.seen) > goneAfter:
		return Unserved
	}
	return Active
}

func millis(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// parseRun reads a line of the list of runs: slot, time, and a JID or "- REASON".
func parseRun(line string) (r Run, ok bool) {
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 {
		return r, false
	}
	r.At = millis(words[1])
	if words[0] != "0" {
		r.Slot = millis(words[0])
	}
	if why, skipped := strings.CutPrefix(words[2], "- "); skipped {
		r.Skipped = why
	} else {
		r.JID = words[2]
	}
	return r, true
}

// Pause keeps an entry from being pushed, in all processes, until Resume. Its slots meanwhile are
// lost.
func (c Control) Pause(ctx context.Context, name string) error { return c.set(ctx, name, "pause") }

// Resume ends a pause.
func (c Control) Resume(ctx context.Context, name string) error { return c.set(ctx, name, "resume") }

func (c Control) set(ctx context.Context, name, what string) error {
	n, err := c.Store.DB().Run(ctx, controlScript, []string{c.Store.Keys().Key(entryKey(name))},
		what).Int()
	if err == nil && n == 0 {
		err = queue.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s entry %s: %w", what, name, err)
	}
	return nil
}

// Run pushes the job of an entry now, also if it is paused or disabled, and returns the JID. Its
// slots do not change. The error is a *queue.ClaimError with the reason "skipped overlap" if the
// entry must not overlap and its last job is not over, or with "skipped queue" if its queues are too
// long.
func (c Control) Run(ctx context.Context, name string) (jid string, err error) {
	s, err := c.status(ctx, name, time.Now(), map[string]owner{})
	if err != nil {
		return "", err
	}
	if s.Problem != "" {
		return "", fmt.Errorf("entry %s: %s", name, s.Problem)
	}
	x := slotted{entry: &s.Entry, schedule: s.Schedule}
	o, err := x.options()
	if err != nil {
		return "", err
	}
	return queue.NewClient(c.Store).Push(ctx, s.Class, s.Args, o)
}

// ErrServed says that an entry is not deleted, because processes would write it again.
var ErrServed = errors.New("its schedule still has it: delete it from the file, and deploy")

// Delete removes what Redis knows about an entry that its schedule does not have any more, or whose
// schedule no process runs. The error is ErrServed for any other entry.
func (c Control) Delete(ctx context.Context, name string) error {
	s, _, err := c.Show(ctx, name)
	if err != nil {
		return err
	}
	if o, err := c.owner(ctx, s.Schedule); err != nil {
		return err
	} else if s.State != Orphan && time.Since(o.seen) < goneAfter {
		return fmt.Errorf("entry %s: %w", name, ErrServed)
	}
	ks := c.Store.Keys()
	pipe := c.Store.DB().Shared.TxPipeline()
	pipe.SRem(ctx, ks.Key(keyNames), name)
	pipe.Del(ctx, ks.Key(entryKey(name)), ks.Key(runsKey(name)), ks.Key(lockKey(name)))
	_, err = pipe.Exec(ctx)
	return err
}
