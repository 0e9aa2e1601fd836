package lanes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Leak is what is wrong with the counts of a queue's lanes: places in lanes that no running job
// holds. They come from a program that takes back or removes jobs and does not know lanes, such as
// a version of Kyu without them. A lane with a leak runs fewer jobs than its limit says, or none.
type Leak struct {
	Places int64 `json:"places"` // that no delivery holds
	Lanes  int64 `json:"lanes"`  // with a wrong count
	Jobs   int64 `json:"jobs"`   // by which the counts are wrong
}

// None reports whether the counts are right.
func (l Leak) None() bool { return l == Leak{} }

// Leak looks for a leak, and changes nothing. It reads the names of all keys in Redis, a page at a
// time.
func (c Control) Leak(ctx context.Context, name string) (Leak, error) {
	return c.recount(ctx, name, "")
}

// Repair counts the jobs that run, by lane, and corrects what the lanes note. It returns what was
// wrong.
func (c Control) Repair(ctx context.Context, name string) (Leak, error) {
	return c.recount(ctx, name, "1")
}

// recountTries is how often a count is tried again because a process has begun meanwhile.
const recountTries = 5

func (c Control) recount(ctx context.Context, name, fix string) (l Leak, err error) {
	if _, err := c.Status(ctx, name); err != nil {
		return l, err
	}
	for range recountTries {
		owners, err := c.owners(ctx, name)
		if err != nil {
			return l, fmt.Errorf("lanes of %s: %w", name, err)
		}
		ks, args := c.Store.Keys(), []any{fix}
		keys := append(callKeys(ks, name), ks.Leases())
		for _, identity := range owners {
			keys = append(keys, ks.Key(ruleKey(name)+":in:"+identity), ks.Inflight(name, identity))
			args = append(args, identity)
		}
		n, err := c.Store.DB().RunOwn(ctx, repairScript, keys, args...).Int64Slice()
		if err != nil {
			return l, fmt.Errorf("lanes of %s: %w", name, err)
		}
		if len(n) == 3 {
			return Leak{n[0], n[1], n[2]}, nil
		}
	}
	return l, errors.New("processes begin all the time: try again")
}

// owners returns the owners that may have jobs of a queue, also those that are forgotten but for
// their places in lanes.
func (c Control) owners(ctx context.Context, name string) ([]string, error) {
	rdb, ks := c.Store.DB().Shared, c.Store.Keys()
	prefix, found := ks.Key(ruleKey(name)+":in:"), map[string]bool{}
	for cursor := uint64(0); ; {
		keys, next, err := rdb.Scan(ctx, cursor, pattern(prefix)+"*", listsCount).Result()
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			found[strings.TrimPrefix(key, prefix)] = true
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	leases, err := c.Store.Leases(ctx)
	for _, l := range leases {
		found[l.Identity] = true
	}
	return slices.Sorted(maps.Keys(found)), err
}

// pattern returns a pattern of Redis that only a text itself fits.
func pattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}
