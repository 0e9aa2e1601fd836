package queue

import (
	"context"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

var dropScript = mustScript("drop")

// removal is the removal by hand of jobs from a set or a queue, with their effects. If the event is
// EventDead, the jobs go to the dead set.
type removal struct {
	store   *Store
	c       redis.Scripter
	key     string
	event   EffectEvent
	removed int
	stayed  int // jobs that stay because a key has a wrong type
	failed  EffectsError
}

// remove removes members of a set or a queue, and returns how many it found there.
func (s *Store) remove(ctx context.Context, c redis.Scripter, key string, event EffectEvent,
	members []string) (int, error) {
	r := &removal{store: s, c: c, key: key, event: event}
	err := r.run(ctx, members)
	if err == nil && r.stayed > 0 {
		if event == EventDead {
			key = s.ks.Dead()
		}
		err = &WrongTypeError{[]string{key}, r.stayed}
	}
	return r.removed, r.failed.unless(err)
}

// removeAll removes the first count members, which page reads from one end. The count makes it end
// although new members come.
func (s *Store) removeAll(ctx context.Context, c redis.Scripter, key string, count int64,
	page func(count int64) ([]string, error)) error {
	r := &removal{store: s, c: c, key: key, event: EventDelete}
	for count > 0 {
		members, err := page(min(count, MaxEffectItems))
		if err == nil {
			err = r.run(ctx, members)
		}
		if err != nil {
			return err
		}
		if len(members) == 0 {
			break
		}
		count -= int64(len(members))
	}
	return r.failed.unless(nil)
}

// run removes members, in calls of limited size.
func (r *removal) run(ctx context.Context, members []string) error {
	size := redisdb.NewPageSize(MaxEffectItems, redisdb.PageBytes)
	return size.Pages(len(members), func(i int) int { return len(members[i]) },
		func(from, to int) error { return r.page(ctx, members[from:to]) })
}

// page removes a page of members. If Redis forbids a key of an effect, the page is halved until the
// job with that effect is alone.
func (r *removal) page(ctx context.Context, members []string) error {
	s := r.store
	args, items, problems := r.args(members)
	codes, failed, err := s.runEffects(ctx, r.c, dropScript, s.dropKeys(r.key), args, items)
	if half := len(members) / 2; half > 0 && redisdb.ForbidsKey(err) {
		if err := r.page(ctx, members[:half]); err != nil {
			return err
		}
		return r.page(ctx, members[half:])
	}
	for i, code := range codes {
		switch {
		case code == int64(Refused):
			r.stayed++
		case code > 0:
			r.removed++
			if reason := problems[i] + failed[i]; reason != "" {
				r.failed.add(reason)
			}
		}
	}
	return err
}

func (s *Store) dropKeys(key string) []string {
	return []string{key, s.ks.Dead(), s.ks.Queues()}
}

// args returns the arguments of the script for a page, the effects of each member, and the errors
// of capabilities for each member.
func (r *removal) args(members []string) (args []any, items [][]Effect, problems []string) {
	s, now, at := r.store, time.Now(), ""
	if r.event == EventDead {
		at = envelope.Score(now)
	}
	args = []any{at, envelope.Score(now.Add(-s.deadLimits.age)), s.deadLimits.max, ""}
	items, problems = make([][]Effect, len(members)), make([]string, len(members))
	for i, raw := range members {
		dead := ""
		if form := envelope.ForDeadSet(raw); r.event == EventDead && form != raw {
			dead = form
		}
		args = append(args, raw, dead)
		j, _ := envelope.ParseJob(raw) // bytes that are no job have no effects
		items[i], problems[i] = s.effectsOf(j, r.event)
	}
	return args, items, problems
}

// removeQueue is ClearQueue with effects. The name of the queue stays if jobs have come meanwhile.
func (s *Store) removeQueue(ctx context.Context, name string) error {
	key := s.ks.Queue(name)
	size, err := s.db.Shared.LLen(ctx, key).Result()
	if err != nil {
		return err
	}
	removed := s.removeAll(ctx, s.db.Shared, key, size, func(count int64) ([]string, error) {
		page, err := s.db.Shared.LRange(ctx, key, -count, -1).Result()
		slices.Reverse(page) // the next job to run is first
		return page, err
	})
	err = s.ForgetQueue(ctx, name)
	if removed != nil {
		return removed
	}
	return err
}

// ForgetQueue takes the name of a queue off the set of queues, unless the queue has jobs.
func (s *Store) ForgetQueue(ctx context.Context, name string) error {
	keys := s.dropKeys(s.ks.Queue(name))
	return s.db.Run(ctx, dropScript, keys, "", "", "", name).Err()
}
