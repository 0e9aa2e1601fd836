package queue

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/redis/go-redis/v9"
)

// DueSets are the sets whose jobs become due, in the order in which Sidekiq
// looks at them.
var DueSets = []string{keyRetry, keySchedule}

// Promote moves up to page due jobs of a set ("retry" or "schedule") to the
// heads of their queues. moved counts those that this call moved, due those that
// were due: a full page means that there may be more. Members that are not jobs
// go to the dead set as they are. Several pollers, Ruby's too, share the work
// without loss or double.
func (s *Store) Promote(ctx context.Context, set string, now time.Time, page int) (moved, due int, err error) {
	members, err := s.due(ctx, set, now, page)
	if err != nil {
		return 0, 0, fmt.Errorf("promote: %w", err)
	}
	if len(members) == 0 {
		return 0, 0, nil
	}
	moves := make([]move, len(members))
	for i, raw := range members {
		moves[i] = move{member: raw, payload: raw} // to the dead set, byte for byte, unless it is a job
		if j, err := ParseJob(raw); err == nil {
			moves[i] = move{raw, s.Requeued(j, now), cmp.Or(j.Queue, "default")}
		}
	}
	failpoint.Hit("promote_before")
	moved, err = s.promote(ctx, s.ks.key(set), moves, now)
	return moved, len(members), err
}

// move takes a member out of a sorted set.
type move struct {
	member, payload string
	queue           string // empty: to the dead set
}

// promote carries moves out of the set under a key, and returns how many members
// were still there.
func (s *Store) promote(ctx context.Context, key string, moves []move, now time.Time) (int, error) {
	keys := []string{key, s.ks.key(keyQueues), s.ks.key(keyDead)}
	args := []any{score(now), score(now.Add(-s.deadLimits.age)), s.deadLimits.max, s.ks.queuePrefixLen()}
	lists := map[string]int{"": -1}
	for _, m := range moves {
		i, seen := lists[m.queue]
		if !seen {
			i = len(lists) - 1
			lists[m.queue] = i
			keys = append(keys, s.ks.queue(m.queue))
		}
		args = append(args, m.member, m.payload, i)
	}
	moved, err := s.run(ctx, promoteScript, keys, args...).Int()
	if err != nil {
		return 0, fmt.Errorf("promote: %w", err)
	}
	return moved, nil
}

// Requeued is a job's payload as it goes into a queue again: with a new
// enqueued_at, without at, and with the defaults that a push would give it.
func (s *Store) Requeued(j *Job, now time.Time) string {
	var p Patch
	p.Remove("at")
	p.survived()
	if j.Field("queue") == "" {
		p.SetString("queue", "default")
	}
	if j.Field("retry") == "" {
		p.Set("retry", "true")
	}
	p.SetTime("enqueued_at", now, s.timestamps, j)
	return p.Apply(j)
}

// retriedByHand is requeued with one attempt given back, as Sidekiq's API does:
// 0 becomes -1 (sidekiq-wire 7).
func (s *Store) retriedByHand(j *Job, now time.Time) string {
	raw := s.Requeued(j, now)
	n, ok := j.RetryCount()
	if !ok {
		return raw
	}
	again, err := ParseJob(raw)
	if err != nil {
		return raw // it was parsed before: it is one
	}
	var p Patch
	p.Set("retry_count", strconv.Itoa(n-1))
	return p.Apply(again)
}

// FailurePatch is what a failure at time at changes in j's payload; the caller
// sets the fields of the error.
func (s *Store) FailurePatch(j *Job, at time.Time) *Patch {
	p := new(Patch)
	p.survived()
	if n, ok := j.RetryCount(); ok {
		p.SetInt("retry_count", int64(n)+1)
		p.SetTime("retried_at", at, s.timestamps, j)
		return p
	}
	p.SetInt("retry_count", 0)
	p.SetTime("failed_at", at, s.timestamps, j)
	return p
}

func (s *Store) due(ctx context.Context, set string, now time.Time, page int) ([]string, error) {
	return s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: s.ks.key(set), ByScore: true, Start: "-inf", Stop: score(now), Count: int64(page)}).Result()
}
