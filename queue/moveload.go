package queue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// ShardLoad says how many jobs a shard has, and where.
type ShardLoad struct {
	Waiting   int64 `json:"waiting"` // in queues, with those that limits of lanes keep
	Scheduled int64 `json:"scheduled"`
	Retry     int64 `json:"retry"`
	Dead      int64 `json:"dead"`
	Held      int64 `json:"held"`      // their class is unknown to the worker that took them
	Operated  int64 `json:"operated"`  // bulk operations have them in lists of their own
	Moving    int64 `json:"moving"`    // on their way to another shard
	InFlight  int64 `json:"in_flight"` // in the hands of workers
}

// Total is the number of all jobs.
func (l ShardLoad) Total() int64 {
	return l.Waiting + l.Scheduled + l.Retry + l.Dead + l.Held + l.Operated + l.Moving + l.InFlight
}

// String lists what there is: "3 waiting, 1 in flight"; "empty" if there is nothing.
func (l ShardLoad) String() string {
	var parts []string
	for _, x := range []struct {
		n    int64
		what string
	}{{l.Waiting, "waiting"}, {l.Scheduled, "scheduled"}, {l.Retry, "to be retried"},
		{l.Dead, "dead"}, {l.Held, "held"}, {l.Operated, "in bulk operations"},
		{l.Moving, "on their way"}, {l.InFlight, "in flight"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprint(x.n, " ", x.what))
		}
	}
	if len(parts) == 0 {
		return "empty"
	}
	return strings.Join(parts, ", ")
}

// Load counts the jobs of the shard. The numbers are not of one moment: a job that moves meanwhile
// may be counted twice or not at all. The cost grows with the numbers of queues and processes.
func (s *Store) Load(ctx context.Context) (l ShardLoad, err error) {
	pipe := s.db.Shared.Pipeline()
	queues, held := pipe.SMembers(ctx, s.ks.Queues()), pipe.SMembers(ctx, s.ks.Held())
	sifts, owners := pipe.HKeys(ctx, s.ks.Sifts()), pipe.ZRange(ctx, s.ks.Leases(), 0, -1)
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.IsWrongType(err) {
		return l, fmt.Errorf("jobs of the shard: %w", err)
	}
	served, err := s.servedBy(ctx, owners.Val())
	if err != nil {
		return l, err
	}
	var keys []loadKey
	for _, q := range queues.Val() {
		keys = append(keys, loadKey{s.ks.Queue(q), "LLEN", &l.Waiting})
	}
	for _, class := range held.Val() {
		keys = append(keys, loadKey{s.ks.Hold(class), "ZCARD", &l.Held})
	}
	for _, q := range sifts.Val() {
		keys = append(keys, loadKey{s.ks.Sifted(q), "LLEN", &l.Operated},
			loadKey{s.ks.Staged(q), "LLEN", &l.Operated})
	}
	for identity, list := range served {
		for _, q := range list {
			keys = append(keys, loadKey{s.ks.Inflight(q, identity), "HLEN", &l.InFlight},
				loadKey{s.ks.Landing(q, identity), "LLEN", &l.InFlight})
		}
	}
	keys = append(keys, loadKey{s.ks.Schedule(), "ZCARD", &l.Scheduled},
		loadKey{s.ks.Retry(), "ZCARD", &l.Retry}, loadKey{s.ks.Dead(), "ZCARD", &l.Dead},
		loadKey{s.ks.Moving(), "HLEN", &l.Moving})
	if err := s.addUp(ctx, keys); err != nil {
		return l, err
	}
	kept, err := s.Kept(ctx)
	for _, k := range kept {
		l.Waiting += k.Parked + k.Arrived
	}
	return l, err
}

// loadKey is a key whose elements are counted.
type loadKey struct {
	key, command string
	to           *int64
}

// addUp adds the lengths of keys. One of a wrong type has no jobs.
func (s *Store) addUp(ctx context.Context, keys []loadKey) error {
	pipe := s.db.Shared.Pipeline()
	counts := make([]*redis.Cmd, len(keys))
	for i, k := range keys {
		counts[i] = pipe.Do(ctx, k.command, k.key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.IsWrongType(err) {
		return fmt.Errorf("jobs of the shard: %w", err)
	}
	for i, k := range keys {
		n, _ := counts[i].Int64()
		*k.to += n
	}
	return nil
}

// servedBy returns the queues of owners, by their records.
func (s *Store) servedBy(ctx context.Context, owners []string) (map[string][]string, error) {
	served := map[string][]string{}
	if len(owners) == 0 {
		return served, nil
	}
	pipe := s.db.Shared.Pipeline()
	queues := make([]*redis.StringCmd, len(owners))
	for i, identity := range owners {
		queues[i] = pipe.HGet(ctx, s.ks.Owner(identity), "queues")
	}
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil && !redisdb.IsWrongType(err) {
		return nil, fmt.Errorf("owners of jobs: %w", err)
	}
	for i, identity := range owners {
		served[identity] = strings.FieldsFunc(queues[i].Val(), isNewline)
	}
	return served, nil
}

// placesOfJobs are the patterns of all keys that hold jobs, without the namespace.
var placesOfJobs = []string{"queue:*", "schedule", "retry", "dead", "kyu:hold:*", "kyu:moving",
	"kyu:{*}:inflight:*", "kyu:{*}:landing:*", "kyu:{*}:sifted", "kyu:{*}:staged",
	"kyu:{*}:lanes:lane:*", "kyu:{*}:lanes:arrived"}

// Strays returns the keys of the shard that hold jobs. It walks through all keys, so it finds what
// Load does not: jobs of owners without records, and of queues that are not in the set of queues.
// It stops when it has found ten.
func (s *Store) Strays(ctx context.Context) ([]string, error) {
	found := map[string]bool{}
	for cursor := uint64(0); ; {
		keys, next, err := s.db.Shared.Scan(ctx, cursor, redisdb.GlobEscape(s.ks.Key(""))+"*",
			1000).Result()
		if err != nil {
			return nil, fmt.Errorf("keys of the shard: %w", err)
		}
		for _, key := range keys {
			if holdsJobs(strings.TrimPrefix(key, s.ks.Key(""))) {
				found[key] = true
			}
		}
		if cursor = next; cursor == 0 || len(found) >= 10 {
			return slices.Sorted(maps.Keys(found)), nil
		}
	}
}

// holdsJobs reports whether a key, without the namespace, is one of placesOfJobs.
func holdsJobs(key string) bool {
	for _, pattern := range placesOfJobs {
		if matchesStars(pattern, key) {
			return true
		}
	}
	return false
}

// matchesStars reports whether a key is like a pattern, whose stars stand for any text.
func matchesStars(pattern, key string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(key, parts[0])
	for i, part := range parts[1:] {
		switch at := strings.Index(rest, part); {
		case !ok || at < 0:
			return false
		case i == len(parts)-2:
			return strings.HasSuffix(rest, part)
		default:
			rest = rest[at+len(part):]
		}
	}
	return ok && rest == ""
}

// Serving returns the identities of the processes that serve the shard: those with a lease that
// has not ended.
func (s *Store) Serving(ctx context.Context) (list []string, err error) {
	leases, err := s.Leases(ctx)
	for _, l := range leases {
		if !l.Ended && !l.Fenced {
			list = append(list, l.Identity)
		}
	}
	slices.Sort(list)
	return list, err
}

func isNewline(c rune) bool { return c == '\n' }
