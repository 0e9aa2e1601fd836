package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// scanPage is how many members one call looks at.
const scanPage = 100

// JobSet is one of the sorted sets of jobs, with what people read of it beside what they do with
// its entries.
type JobSet struct {
	*queue.JobSet
	in *Inspector
}

// RetrySet holds jobs that failed and wait for their next attempt.
func (in *Inspector) RetrySet() *JobSet { return &JobSet{in.store.RetrySet(), in} }

// ScheduleSet holds jobs that are not due yet.
func (in *Inspector) ScheduleSet() *JobSet { return &JobSet{in.store.ScheduleSet(), in} }

// DeadSet holds jobs that will not run again by themselves.
func (in *Inspector) DeadSet() *JobSet { return &JobSet{in.store.DeadSet(), in} }

// HoldSet holds jobs of a class that a worker without a handler for it has put aside. It is sorted
// by the time at which they were put there.
func (in *Inspector) HoldSet(class string) *JobSet { return &JobSet{in.store.HoldSet(class), in} }

// Size is the number of members.
func (js *JobSet) Size(ctx context.Context) (int64, error) {
	n, err := js.in.rdb.ZCard(ctx, js.Key()).Result()
	return n, js.wrap(err)
}

// Page reads up to count entries from the offset-th on: of the dead set the last
// to die first, else the next to be due first.
func (js *JobSet) Page(ctx context.Context, offset, count int64) ([]queue.Entry, error) {
	first, last, some := window(offset, count)
	if !some {
		return nil, nil
	}
	read := js.in.rdb.ZRangeWithScores
	if js.Name() == redisdb.KeyDead {
		read = js.in.rdb.ZRevRangeWithScores
	}
	members, err := read(ctx, js.Key(), first, last).Result()
	if err != nil {
		return nil, js.wrap(err)
	}
	return entries(members), nil
}

// window is a page as Redis counts: both ends, from 0. some is false if there is
// nothing in it. To Redis a negative end counts from the last, so it must not come to
// that.
func window(offset, count int64) (first, last int64, some bool) {
	offset = max(offset, 0)
	if count <= 0 {
		return 0, 0, false
	}
	if last = offset + count - 1; last < offset {
		last = math.MaxInt64
	}
	return offset, last, true
}

func entries(members []redis.Z) []queue.Entry {
	list := make([]queue.Entry, len(members))
	for i, z := range members {
		raw, _ := z.Member.(string)
		list[i] = queue.NewEntry(raw, z.Score)
	}
	return list
}

// Scan calls fn with every entry whose bytes match a pattern, as Redis matches:
// text without * is looked for anywhere. It stops when fn returns false. Entries
// that come or go meanwhile may be missed, or seen twice.
func (js *JobSet) Scan(ctx context.Context, match string, fn func(queue.Entry) bool) error {
	if !strings.Contains(match, "*") {
		match = "*" + redisdb.GlobEscape(match) + "*"
	}
	for cursor := uint64(0); ; {
		flat, next, err := js.in.rdb.ZScan(ctx, js.Key(), cursor, match, scanPage).Result()
		if err != nil {
			return js.wrap(err)
		}
		for i := 0; i+1 < len(flat); i += 2 {
			at, _ := envelope.ParseTime(flat[i+1])
			j, _ := envelope.ParseJob(flat[i])
			if !fn(queue.Entry{Raw: flat[i], At: at, Job: j}) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Find looks for a job. The error is queue.ErrNotFound if it is not in the set.
func (js *JobSet) Find(ctx context.Context, jid string) (found queue.Entry, err error) {
	err = js.Scan(ctx, jid, func(e queue.Entry) bool {
		if e.Job != nil && e.Job.JID == jid {
			found = e
		}
		return found.Job == nil
	})
	if err == nil && found.Job == nil {
		err = fmt.Errorf("job %s in %s: %w", jid, js.Name(), queue.ErrNotFound)
	}
	return found, err
}

// All applies an operation (such as js.Retry) to every entry that is in the set
// now, a page at a time, and returns how many it moved. Entries that stay, or
// come meanwhile, do not keep it from ending.
func (js *JobSet) All(ctx context.Context,
	op func(context.Context, ...queue.Entry) (int, error)) (total int, err error) {
	left, err := js.Size(ctx)
	if err != nil {
		return 0, err
	}
	var stay []error
	size := redisdb.NewPageSize(scanPage, redisdb.PageBytes)
	for skip := 0; left > 0; {
		page, _, err := js.Read(ctx, skip, &size)
		if err != nil || len(page) == 0 {
			return total, errors.Join(append(stay, err)...)
		}
		page = page[:min(int64(len(page)), left)]
		n, err := op(ctx, page...)
		total += n
		var refused *queue.WrongTypeError
		var held *queue.EffectsError
		if err != nil && !errors.As(err, &refused) && !errors.As(err, &held) {
			return total, errors.Join(append(stay, err)...)
		}
		stay = append(stay, err)
		left -= int64(len(page))
		skip += len(page) - n // what the operation left behind
	}
	return total, errors.Join(stay...)
}

func (js *JobSet) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("%s set: %w", js.Name(), err)
	}
	return err
}
