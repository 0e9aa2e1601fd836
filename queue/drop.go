package queue

import (
	"context"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

var dropScript = mustScript("drop") // only a Store with capabilities runs it

// dropping is the removal of jobs from a set or a queue by a person, with their effects: to
// the dead set if the event is EventDead, else for good.
type dropping struct {
	store *Store
	c     redis.Scripter
	key   string
	event EffectEvent
	n     int // that were still there
	stay  int // as a key has a wrong type
	held  EffectsError
}

// drop takes members out of a set or a queue, and returns how many were still there.
func (s *Store) drop(ctx context.Context, c redis.Scripter, key string, event EffectEvent,
	members []string) (int, error) {
	d := &dropping{store: s, c: c, key: key, event: event}
	err := d.some(ctx, members)
	if err == nil && d.stay > 0 {
		if event == EventDead {
			key = s.ks.Dead()
		}
		err = &WrongTypeError{[]string{key}, d.stay}
	}
	return d.n, d.held.unless(err)
}

// dropAll takes out what there is now, read a page at a time from one end. What comes
// meanwhile does not keep it from ending.
func (s *Store) dropAll(ctx context.Context, c redis.Scripter, key string, now int64,
	page func(count int64) ([]string, error)) error {
	d := &dropping{store: s, c: c, key: key, event: EventDelete}
	for now > 0 {
		members, err := page(min(now, MaxEffectItems))
		if err == nil {
			err = d.some(ctx, members)
		}
		if err != nil {
			return err
		}
		if len(members) == 0 {
			break
		}
		now -= int64(len(members))
	}
	return d.held.unless(nil)
}

// some drops members, in calls of bounded size.
func (d *dropping) some(ctx context.Context, members []string) error {
	size := redisdb.NewPageSize(MaxEffectItems, redisdb.PageBytes)
	return size.Pages(len(members), func(i int) int { return len(members[i]) },
		func(from, to int) error { return d.page(ctx, members[from:to]) })
}

// page drops a page. If Redis forbids a key, it is halved down to the job that holds it.
func (d *dropping) page(ctx context.Context, members []string) error {
	s := d.store
	args, items, unclear := d.args(members)
	codes, failed, err := s.runEffects(ctx, d.c, dropScript, s.dropKeys(d.key), args, items)
	if half := len(members) / 2; half > 0 && redisdb.ForbidsKey(err) {
		if err := d.page(ctx, members[:half]); err != nil {
			return err
		}
		return d.page(ctx, members[half:])
	}
	for i, code := range codes {
		switch {
		case code == int64(Refused):
			d.stay++
		case code > 0:
			d.n++
			if why := unclear[i] + failed[i]; why != "" {
				d.held.add(why)
			}
		}
	}
	return err
}

func (s *Store) dropKeys(key string) []string {
	return []string{key, s.ks.Dead(), s.ks.Queues()}
}

// args are the arguments for a page, and of each member the effects and why some are not
// known.
func (d *dropping) args(members []string) (args []any, items [][]Effect, unclear []string) {
	s, now, at := d.store, time.Now(), ""
	if d.event == EventDead {
		at = envelope.Score(now)
	}
	args = []any{at, envelope.Score(now.Add(-s.deadLimits.age)), s.deadLimits.max, ""}
	items, unclear = make([][]Effect, len(members)), make([]string, len(members))
	for i, raw := range members {
		dead := ""
		if form := envelope.ForDeadSet(raw); d.event == EventDead && form != raw {
			dead = form
		}
		args = append(args, raw, dead)
		j, _ := envelope.ParseJob(raw) // what is no job holds nothing
		items[i], unclear[i] = s.ask(j, d.event)
	}
	return args, items, unclear
}

// dropQueue is ClearQueue with effects: its name stays if jobs have come meanwhile.
func (s *Store) dropQueue(ctx context.Context, name string) error {
	key := s.ks.Queue(name)
	now, err := s.db.Shared.LLen(ctx, key).Result()
	if err != nil {
		return err
	}
	dropped := s.dropAll(ctx, s.db.Shared, key, now, func(count int64) ([]string, error) {
		page, err := s.db.Shared.LRange(ctx, key, -count, -1).Result()
		slices.Reverse(page) // the next to run first
		return page, err
	})
	err = s.db.Run(ctx, dropScript, s.dropKeys(key), "", "", "", name).Err()
	if dropped != nil {
		return dropped
	}
	return err
}
