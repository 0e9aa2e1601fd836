package inspect

import (
	"context"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// scanPage is how many members one call reads.
const scanPage = 100

// JobSet is one of the sorted sets of jobs. Beside the methods of queue.JobSet, which change
// entries, it has methods that read them.
type JobSet struct {
	*queue.JobSet
	in *Inspector
}

// RetrySet returns the set of the jobs that failed and wait for their next attempt.
func (in *Inspector) RetrySet() *JobSet { return &JobSet{in.store.RetrySet(), in} }

// ScheduleSet returns the set of the jobs that were pushed or put off to a later time.
func (in *Inspector) ScheduleSet() *JobSet { return &JobSet{in.store.ScheduleSet(), in} }

// DeadSet returns the set of the jobs that run again only by hand.
func (in *Inspector) DeadSet() *JobSet { return &JobSet{in.store.DeadSet(), in} }

// HoldSet returns the set of the held jobs of a class: a worker that had no handler for the class
// put them there. They are sorted by the time when they were held.
func (in *Inspector) HoldSet(class string) *JobSet { return &JobSet{in.store.HoldSet(class), in} }

// Size returns the number of entries.
func (js *JobSet) Size(ctx context.Context) (int64, error) {
	n, err := js.in.rdb.ZCard(ctx, js.Key()).Result()
	return n, js.wrap(err)
}

// Page returns up to count entries after the first offset. Entries of the dead set are sorted from
// the last to die on, those of other sets from the first to be due on.
func (js *JobSet) Page(ctx context.Context, offset, count int64) ([]queue.Entry, error) {
	members, err := js.members(ctx, offset, count)
	if err != nil || len(members) == 0 {
		return nil, err
	}
	return entries(members), nil
}

// members are the entries of a page, with their scores.
func (js *JobSet) members(ctx context.Context, offset, count int64) ([]redis.Z, error) {
	first, last, some := window(offset, count)
	if !some {
		return nil, nil
	}
	read := js.in.rdb.ZRangeWithScores
	if js.Name() == redisdb.KeyDead {
		read = js.in.rdb.ZRevRangeWithScores
	}
	members, err := read(ctx, js.Key(), first, last).Result()
	return members, js.wrap(err)
}

// entries returns the entries of members.
func entries(members []redis.Z) []queue.Entry {
	list := make([]queue.Entry, len(members))
	for i, z := range members {
		raw, _ := z.Member.(string)
		list[i] = queue.NewEntry(raw, z.Score)
	}
	return list
}

// Scan calls fn with each entry whose payload matches a pattern of Redis. A pattern without *
// matches anywhere in the payload. Scan stops when fn returns false. It may miss entries that are
// added or removed meanwhile, or pass them twice.
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

// Find returns the entry of a job. The error is queue.ErrNotFound if it is not in the set.
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

func (js *JobSet) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("%s set: %w", js.Name(), err)
	}
	return err
}

// jobSet returns the set whose key, without the namespace, is name.
func (in *Inspector) jobSet(name string) *JobSet { return &JobSet{in.store.Set(name), in} }
