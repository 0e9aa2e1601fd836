package lanes

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// listsCount is about how many keys of Redis one call of lists looks at.
const listsCount = 1000

// kept returns what lanes keep, of each queue with a rule.
func kept(ctx context.Context, s *queue.Store) (map[string]queue.Kept, error) {
	names, err := Control{s}.Queues(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	ks, pipe := s.Keys(), s.DB().Shared.Pipeline()
	fields, arrived := make([]*redis.SliceCmd, len(names)), make([]*redis.IntCmd, len(names))
	turn := make([]*redis.StringSliceCmd, len(names))
	for i, name := range names {
		keys := callKeys(ks, name)
		fields[i] = pipe.HMGet(ctx, keys[0], "parked")
		turn[i], arrived[i] = pipe.ZRange(ctx, keys[1], 0, 0), pipe.LLen(ctx, keys[10])
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	next := make([]string, len(names)) // the lists of the lanes whose turn it is
	for i, name := range names {
		next[i] = ks.Key(laneKey(name, strings.Join(turn[i].Val(), "")))
	}
	lines, err := s.Lines(ctx, next)
	if err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	all := map[string]queue.Kept{}
	for i, name := range names {
		f := row(fields[i].Val())
		all[name] = queue.Kept{Parked: max(f.number(0), 0), Arrived: arrived[i].Val(),
			Age: lines[i].Age}
	}
	return all, nil
}

// lists returns a page of the lists of lanes with jobs, and with the first page the lists of what
// doorbells took.
func lists(ctx context.Context, s *queue.Store, cursor uint64) (page []queue.KeptList, next uint64,
	err error) {
	names, err := Control{s}.Queues(ctx)
	if err != nil || len(names) == 0 {
		return nil, 0, err
	}
	ks := s.Keys()
	keys, next, err := s.DB().Shared.Scan(ctx, cursor, ks.Key(laneKey("*", "*")),
		listsCount).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("lanes: %w", err)
	}
	for _, name := range names {
		if cursor == 0 {
			page = append(page, queue.KeptList{Queue: name, Returns: true,
				Key: ks.Key(arrivedKey(name))})
		}
		for _, key := range keys {
			if lane, ours := strings.CutPrefix(key, ks.Key(laneKey(name, ""))); ours {
				page = append(page, queue.KeptList{Queue: name, Lane: lane, Key: key})
			}
		}
	}
	return page, next, nil
}
