package cron

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/carry.lua
	carryLua    string
	carryScript = redisdb.NewScript(carryLua)
)

// moves lets the entries of schedules, and the locks of entries that must not overlap, move to
// another shard: an entry to the one in which clients claim its slots.
func moves() *queue.Moves {
	return &queue.Moves{Key: carryKey, Carry: carryLocks, Rest: carryEntries}
}

// markOf returns what the payload of a job says about its entry.
func markOf(j *queue.Job) (m mark, ok bool) {
	token := j.Field(extraField)
	ok = token != "" && json.Unmarshal([]byte(token), &m) == nil && m.Cron != "" &&
		checkName(m.Cron) == nil
	return m, ok
}

// carryKey is the first key of the claim of the slot, if the job holds the lock of the entry.
func carryKey(j *queue.Job) string {
	if m, ok := markOf(j); ok && m.Lock {
		return entryKey(m.Cron)
	}
	return ""
}

// carryLocks returns what becomes of the locks of jobs that move.
func carryLocks(ctx context.Context, from *queue.Store, jobs []*queue.Job) ([]queue.Carried,
	error) {
	list := make([]queue.Carried, len(jobs))
	for i, j := range jobs {
		m, ok := markOf(j)
		if !ok || !m.Lock {
			continue
		}
		holder, ends, err := readLock(ctx, from, m.Cron)
		if err != nil {
			return nil, err
		}
		if holder == j.JID {
			keys := []string{lockKey(m.Cron)}
			list[i].Land = []queue.Effect{{Kind: kind, Keys: keys,
				Args: []string{j.JID, fmt.Sprint(ends.UnixMilli())}}}
			list[i].Drop = []queue.Effect{{Kind: kind, Keys: keys, Args: []string{j.JID}}}
		}
	}
	return list, nil
}

// readLock returns the JID that holds the lock of an entry, or "", and when the lock ends.
func readLock(ctx context.Context, s *queue.Store, name string) (jid string, ends time.Time,
	err error) {
	pipe := s.DB().Shared.Pipeline()
	holder := pipe.Get(ctx, s.Keys().Key(lockKey(name)))
	left := pipe.PExpireTime(ctx, s.Keys().Key(lockKey(name)))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return "", ends, fmt.Errorf("lock of entry %s: %w", name, err)
	}
	if left.Val() <= 0 {
		return "", ends, nil // it is free, or of no version of Kyu
	}
	return holder.Val(), time.UnixMilli(left.Val().Milliseconds()), nil
}

// carryEntries carries the entries to the shards in which their slots are claimed. The lock of an
// entry goes with its job: one that was carried before would stay when the job ends in the source.
func carryEntries(ctx context.Context, from *queue.Store, to queue.MoveTargets) (said []string,
	err error) {
	names, err := from.DB().Shared.SMembers(ctx, from.Keys().Key(keyNames)).Result()
	if err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	var problems []error
	for _, name := range names {
		shard := to.Of(entryKey(name))
		if shard.Store == nil || !shard.Store.Connected() {
			said = append(said, fmt.Sprintf("the entry %s waits for shard %s, which cannot be "+
				"reached", name, shard.Name))
			continue
		}
		if err := carryEntry(ctx, from, shard.Store, name); err != nil {
			problems = append(problems, fmt.Errorf("entry %s: %w", name, err))
		}
	}
	return said, errors.Join(problems...)
}

func carryEntry(ctx context.Context, from, to *queue.Store, name string) error {
	pipe := from.DB().Shared.Pipeline()
	entry := pipe.HGetAll(ctx, from.Keys().Key(entryKey(name)))
	runs := pipe.LRange(ctx, from.Keys().Key(runsKey(name)), 0, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if len(entry.Val()) == 0 {
		return nil
	}
	args := []any{name, 2 * len(entry.Val())}
	for field, value := range entry.Val() {
		args = append(args, field, value)
	}
	for _, line := range runs.Val() {
		args = append(args, line)
	}
	ks := to.Keys()
	return to.DB().Run(ctx, carryScript, []string{ks.Key(entryKey(name)), ks.Key(keyNames),
		ks.Key(runsKey(name))}, args...).Err()
}
