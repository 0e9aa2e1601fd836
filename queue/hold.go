package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// HoldSet holds jobs of a class that a worker without a handler for it has put
// aside. It is a sorted set by the time at which they were put there.
func (s *Store) HoldSet(class string) *JobSet { return &JobSet{s, "kyu:hold:" + class} }

// Held is a class of which jobs are held.
type Held struct {
	Class  string    `json:"class"`
	Size   int64     `json:"size"`
	Oldest time.Time `json:"oldest"` // when the first of them was put there
}

// HeldClasses lists the classes of which jobs are held, by name.
func (s *Store) HeldClasses(ctx context.Context) ([]Held, error) {
	classes, err := s.rdb.SMembers(ctx, s.ks.key(keyHeld)).Result()
	if err != nil {
		return nil, fmt.Errorf("held: %w", err)
	}
	slices.Sort(classes)
	var list []Held
	for _, class := range classes {
		pipe := s.rdb.Pipeline()
		size, oldest := pipe.ZCard(ctx, s.ks.hold(class)), pipe.ZRangeWithScores(ctx, s.ks.hold(class), 0, 0)
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("held: %w", err)
		}
		if size.Val() > 0 && len(oldest.Val()) > 0 {
			list = append(list, Held{class, size.Val(), unixFloat(oldest.Val()[0].Score)})
		}
	}
	return list, nil
}

// Release moves held jobs of the given classes back to their queues, if those
// are among queues, and returns how many: the worker that asks serves both, so
// it can run them. Up to page jobs of a class are looked at in one call.
func (s *Store) Release(ctx context.Context, classes, queues []string, page int) (moved int, err error) {
	if len(classes) == 0 {
		return 0, nil
	}
	pipe := s.rdb.Pipeline()
	sizes := make([]*redis.IntCmd, len(classes))
	for i, class := range classes {
		sizes[i] = pipe.ZCard(ctx, s.ks.hold(class))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("release: %w", err)
	}
	var problems []error
	for i, class := range classes {
		if sizes[i].Val() == 0 {
			continue
		}
		n, err := s.release(ctx, s.HoldSet(class), queues, int64(page))
		moved += n
		problems = append(problems, err)
	}
	return moved, errors.Join(problems...)
}

// release goes through one set, a page at a time, past what others must take.
func (s *Store) release(ctx context.Context, set *JobSet, queues []string, page int64) (moved int, err error) {
	for offset := int64(0); ; {
		entries, err := set.Page(ctx, offset, page)
		if err != nil {
			return moved, err
		}
		mine := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
			return e.Job == nil || !slices.Contains(queues, cmp.Or(e.Job.Queue, "default"))
		})
		n, err := set.AddToQueue(ctx, mine...)
		moved += n
		if err != nil || int64(len(entries)) < page {
			return moved, err
		}
		offset += int64(len(entries) - n)
	}
}

// Served is what a live worker of ours says of itself beside its record. Ruby's
// processes do not say it.
type Served struct {
	Classes []string // that it has handlers for
	Pool    int      // connections that it may open to Postgres; 0: it does not say
}

// Served gives what every live worker of ours serves, by identity.
func (s *Store) Served(ctx context.Context) (map[string]Served, error) {
	leases, err := s.Leases(ctx)
	if err != nil {
		return nil, err
	}
	served := map[string]Served{}
	for _, l := range leases {
		if l.Ended || l.Fenced {
			continue
		}
		fields, err := s.rdb.HMGet(ctx, s.ks.owner(l.Identity), "classes", "pool").Result()
		if err != nil {
			return nil, fmt.Errorf("owner %s: %w", l.Identity, err)
		}
		text := func(i int) string { s, _ := fields[i].(string); return s }
		pool, _ := strconv.Atoi(text(1)) // absent in what an older version wrote
		served[l.Identity] = Served{strings.Fields(text(0)), pool}
	}
	return served, nil
}
