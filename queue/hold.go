package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// Release moves held jobs of the given classes back to their queues, if these are among the given
// queues. The caller serves both, so it can run them. It returns the number of jobs that it moved.
// It reads up to page jobs of a class in one call. The error joins the errors of all classes; a
// WrongTypeError counts jobs that stay held. It is for package worker.
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

// release moves jobs of one set, a page at a time. It passes over jobs of other queues and jobs
// that cannot be moved.
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

// releasePage moves the jobs of a page that are of the given queues. It returns how many jobs the
// page has, how many of them it moved, and how many jobs are behind the page.
func (js *JobSet) releasePage(ctx context.Context, queues []string, offset int,
	size *redisdb.PageSize) (seen, moved, left int, err error) {
	entries, left, err := js.Read(ctx, "-inf", offset, size)
	if err != nil {
		return 0, 0, 0, err
	}
	for i := range entries {
		entries[i].Parse()
	}
	mine := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		return e.Job == nil || !slices.Contains(queues, cmp.Or(e.Job.Queue, "default"))
	})
	moved, err = js.AddToQueue(ctx, mine...)
	if _, rest := Refusals(err); rest != nil {
		return moved, moved, left, err // the rest of the page is read again
	}
	return len(entries), moved, left, err
}
