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

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"

	"github.com/redis/go-redis/v9"
)

// HoldSet holds jobs of a class that a worker without a handler for it has put
// aside. It is a sorted set by the time at which they were put there.
func (s *Store) HoldSet(class string) *JobSet { return &JobSet{s, "kyu:hold:" + class, s.db.Shared} }

// Held is a class of which jobs are held.
type Held struct {
	Class  string    `json:"class"`
	Size   int64     `json:"size"`
	Oldest time.Time `json:"oldest"` // when the first of them was put there
}

// HeldClasses lists the classes of which jobs are held, by name.
func (s *Store) HeldClasses(ctx context.Context) ([]Held, error) {
	classes, err := s.db.Shared.SMembers(ctx, s.ks.Held()).Result()
	if err != nil {
		return nil, fmt.Errorf("held: %w", err)
	}
	slices.Sort(classes)
	var list []Held
	for _, class := range classes {
		pipe := s.db.Shared.Pipeline()
		size, oldest := pipe.ZCard(ctx, s.ks.Hold(class)),
			pipe.ZRangeWithScores(ctx, s.ks.Hold(class), 0, 0)
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("held: %w", err)
		}
		if size.Val() > 0 && len(oldest.Val()) > 0 {
			list = append(list, Held{class, size.Val(), envelope.FromUnix(oldest.Val()[0].Score)})
		}
	}
	return list, nil
}

// Release moves held jobs of the given classes back to their queues, if those
// are among queues, and returns how many: the worker that asks serves both, so
// it can run them. Up to page jobs of a class are looked at in one call. The error joins
// those of all classes; a WrongTypeError tells of jobs that stay.
func (s *Store) Release(ctx context.Context, classes, queues []string,
	page int) (moved int, err error) {
	if len(classes) == 0 {
		return 0, nil
	}
	pipe := s.db.Own.Pipeline()
	sizes := make([]*redis.IntCmd, len(classes))
	for i, class := range classes {
		sizes[i] = pipe.ZCard(ctx, s.ks.Hold(class))
	}
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.Answered(err) {
		return 0, fmt.Errorf("release: %w", err)
	}
	var problems []error
	for i, class := range classes {
		if err := sizes[i].Err(); err != nil {
			problems = append(problems, fmt.Errorf("release %s: %w", s.ks.Hold(class), err))
		}
		if sizes[i].Val() == 0 {
			continue
		}
		set := s.HoldSet(class)
		set.rdb = s.db.Own
		n, err := set.release(ctx, queues, page)
		moved += n
		problems = append(problems, err)
	}
	return moved, errors.Join(problems...)
}

// release goes through one set, a page at a time, past what others must take and what
// cannot be moved.
func (js *JobSet) release(ctx context.Context, queues []string, count int) (moved int, err error) {
	var problems []error
	size := redisdb.NewPageSize(count, redisdb.PageBytes)
	for offset, left, failed := 0, 1, 0; left > 0; {
		var seen, n int
		seen, n, left, err = js.releasePage(ctx, queues, offset, &size)
		moved += n
		problems = append(problems, err)
		offset += seen - n
		if _, rest := Refusals(err); rest == nil {
			continue
		}
		if failed++; !redisdb.IsTimeout(err) || failed >= maxPageErrors {
			break
		}
		if size.Smallest() {
			offset++
		}
		size.Shrink()
		left = 1
	}
	return moved, errors.Join(problems...)
}

// releasePage moves those of a page that this process serves, and returns how many it has
// seen, how many of them it moved, and how many are behind them.
func (js *JobSet) releasePage(ctx context.Context, queues []string, offset int, size *redisdb.PageSize) (
	seen, moved, left int, err error) {
	entries, left, err := js.source().read(ctx, "+inf", ascending, offset, size)
	if err != nil {
		return 0, 0, 0, js.wrap(err)
	}
	mine := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		return e.Job == nil || !slices.Contains(queues, cmp.Or(e.Job.Queue, "default"))
	})
	moved, err = js.AddToQueue(ctx, mine...)
	if _, rest := Refusals(err); rest != nil {
		return moved, moved, left, err // what is left of the page is read again
	}
	return len(entries), moved, left, err
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
		fields, err := s.db.Shared.HMGet(ctx, s.ks.Owner(l.Identity), "classes", "pool").Result()
		if err != nil {
			return nil, fmt.Errorf("owner %s: %w", l.Identity, err)
		}
		text := func(i int) string { s, _ := fields[i].(string); return s }
		pool, _ := strconv.Atoi(text(1)) // absent in what an older version wrote
		served[l.Identity] = Served{strings.Fields(text(0)), pool}
	}
	return served, nil
}
