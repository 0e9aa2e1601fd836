package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"

	"github.com/redis/go-redis/v9"
)

// scanPage is how many members one call looks at.
const scanPage = 100

// JobSet is one of the sorted sets: retry, schedule or dead.
type JobSet struct {
	store *Store
	name  string        // its key without the namespace
	rdb   *redis.Client // by which it is read and moved
}

func (js *JobSet) key() string { return js.store.ks.Key(js.name) }

func (js *JobSet) source() source { return source{js.store, js.rdb, js.key()} }

// RetrySet holds jobs that failed and wait for their next attempt.
func (s *Store) RetrySet() *JobSet { return &JobSet{s, redisdb.KeyRetry, s.db.Shared} }

// ScheduleSet holds jobs that are not due yet.
func (s *Store) ScheduleSet() *JobSet { return &JobSet{s, redisdb.KeySchedule, s.db.Shared} }

// DeadSet holds jobs that will not run again by themselves.
func (s *Store) DeadSet() *JobSet { return &JobSet{s, redisdb.KeyDead, s.db.Shared} }

// Entry is a member of a set. Bytes that are no job have a nil Job.
type Entry struct {
	Raw string
	At  time.Time // when it is due, or when it died
	Job *Job
}

func newEntry(raw string, at float64) Entry {
	j, _ := envelope.ParseJob(raw) // the dead set holds what is no job, too
	return Entry{Raw: raw, At: envelope.FromUnix(at), Job: j}
}

// Size is the number of members.
func (js *JobSet) Size(ctx context.Context) (int64, error) {
	n, err := js.rdb.ZCard(ctx, js.key()).Result()
	return n, js.wrap(err)
}

// Page reads up to count entries from the offset-th on: of the dead set the last
// to die first, else the next to be due first.
func (js *JobSet) Page(ctx context.Context, offset, count int64) ([]Entry, error) {
	first, last, some := window(offset, count)
	if !some {
		return nil, nil
	}
	read := js.rdb.ZRangeWithScores
	if js.name == redisdb.KeyDead {
		read = js.rdb.ZRevRangeWithScores
	}
	members, err := read(ctx, js.key(), first, last).Result()
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

func entries(members []redis.Z) []Entry {
	list := make([]Entry, len(members))
	for i, z := range members {
		raw, _ := z.Member.(string)
		list[i] = newEntry(raw, z.Score)
	}
	return list
}

// Scan calls fn with every entry whose bytes match a pattern, as Redis matches:
// text without * is looked for anywhere. It stops when fn returns false. Entries
// that come or go meanwhile may be missed, or seen twice.
func (js *JobSet) Scan(ctx context.Context, match string, fn func(Entry) bool) error {
	if !strings.Contains(match, "*") {
		match = "*" + globEscape(match) + "*"
	}
	for cursor := uint64(0); ; {
		flat, next, err := js.rdb.ZScan(ctx, js.key(), cursor, match, scanPage).Result()
		if err != nil {
			return js.wrap(err)
		}
		for i := 0; i+1 < len(flat); i += 2 {
			at, _ := envelope.ParseTime(flat[i+1])
			j, _ := envelope.ParseJob(flat[i])
			if !fn(Entry{Raw: flat[i], At: at, Job: j}) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func globEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `?`, `\?`).Replace(text)
}

// Find looks for a job. The error is ErrNotFound if it is not in the set.
func (js *JobSet) Find(ctx context.Context, jid string) (found Entry, err error) {
	err = js.Scan(ctx, jid, func(e Entry) bool {
		if e.Job != nil && e.Job.JID == jid {
			found = e
		}
		return found.Job == nil
	})
	if err == nil && found.Job == nil {
		err = fmt.Errorf("job %s in %s: %w", jid, js.name, ErrNotFound)
	}
	return found, err
}

// Delete removes entries, and returns how many were still there.
func (js *JobSet) Delete(ctx context.Context, list ...Entry) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	if js.store.effects != nil {
		return js.drop(ctx, EventDelete, list)
	}
	members := make([]any, len(list))
	for i, e := range list {
		members[i] = e.Raw
	}
	n, err := js.rdb.ZRem(ctx, js.key(), members...).Result()
	return int(n), js.wrap(err)
}

// drop is Delete or Kill with the effects of the jobs.
func (js *JobSet) drop(ctx context.Context, event EffectEvent, list []Entry) (int, error) {
	n, err := js.store.drop(ctx, js.rdb, js.key(), event, raws(list))
	return n, js.wrap(err)
}

func raws(list []Entry) []string {
	members := make([]string, len(list))
	for i, e := range list {
		members[i] = e.Raw
	}
	return members
}

// AddToQueue moves entries to their queues as they are, and returns how many
// were still there. The error is a WrongTypeError if some stay, as their queues' keys
// hold something else.
func (js *JobSet) AddToQueue(ctx context.Context, list ...Entry) (int, error) {
	now := time.Now()
	return js.move(ctx, list, now, func(j *Job) string { return js.store.Requeued(j, now) })
}

// Retry moves entries to their queues with one attempt given back, as Sidekiq's
// "Retry now" does. Entries that are no jobs stay where they are.
func (js *JobSet) Retry(ctx context.Context, list ...Entry) (int, error) {
	now := time.Now()
	return js.move(ctx, list, now, func(j *Job) string { return js.store.retriedByHand(j, now) })
}

func (js *JobSet) move(ctx context.Context, list []Entry, now time.Time,
	rewrite func(*Job) string) (int, error) {
	var moves []move
	for _, e := range list {
		if e.Job != nil {
			moves = append(moves, move{e.Raw, rewrite(e.Job), cmp.Or(e.Job.Queue, "default")})
		}
	}
	return js.carry(ctx, moves, now)
}

// carry carries moves out, in calls of bounded size.
func (js *JobSet) carry(ctx context.Context, moves []move, now time.Time) (int, error) {
	moved, stay, err := js.source().move(ctx, moves, now, redisdb.NewPageSize(scanPage, redisdb.PageBytes))
	if err == nil {
		err = stay.err()
	}
	return moved, js.wrap(err)
}

// Kill moves entries to the dead set, and returns how many were still there.
func (js *JobSet) Kill(ctx context.Context, list ...Entry) (int, error) {
	if len(list) == 0 || js.name == redisdb.KeyDead {
		return 0, nil
	}
	if js.store.effects != nil {
		return js.drop(ctx, EventDead, list)
	}
	moves := make([]move, len(list))
	for i, e := range list {
		moves[i] = move{member: e.Raw}
	}
	return js.carry(ctx, moves, time.Now())
}

// Reschedule makes an entry due at another time. The error is ErrNotFound if it
// has left the set.
func (js *JobSet) Reschedule(ctx context.Context, e Entry, at time.Time) error {
	n, err := js.rdb.ZAddArgs(ctx, js.key(), redis.ZAddArgs{XX: true, Ch: true,
		Members: []redis.Z{{Score: envelope.Unix(at), Member: e.Raw}}}).Result()
	if err == nil && n == 0 && !at.Equal(e.At) {
		err = ErrNotFound
	}
	return js.wrap(err)
}

// Clear removes all entries. With capabilities it does so a page at a time, and leaves what
// comes meanwhile.
func (js *JobSet) Clear(ctx context.Context) error {
	if js.store.effects == nil {
		return js.wrap(js.rdb.Unlink(ctx, js.key()).Err())
	}
	now, err := js.Size(ctx)
	if err != nil {
		return err
	}
	return js.wrap(js.store.dropAll(ctx, js.rdb, js.key(), now, func(n int64) ([]string, error) {
		size := redisdb.NewPageSize(int(n), redisdb.PageBytes)
		page, _, err := js.source().read(ctx, "+inf", ascending, 0, &size)
		return raws(page), err
	}))
}

// All applies an operation (such as js.Retry) to every entry that is in the set
// now, a page at a time, and returns how many it moved. Entries that stay, or
// come meanwhile, do not keep it from ending.
func (js *JobSet) All(ctx context.Context,
	op func(context.Context, ...Entry) (int, error)) (total int, err error) {
	left, err := js.Size(ctx)
	if err != nil {
		return 0, err
	}
	order := ascending
	if js.name == redisdb.KeyDead {
		order = descending
	}
	var stay []error
	size := redisdb.NewPageSize(scanPage, redisdb.PageBytes)
	for skip := 0; left > 0; {
		page, _, err := js.source().read(ctx, "+inf", order, skip, &size)
		if err != nil || len(page) == 0 {
			return total, errors.Join(append(stay, js.wrap(err))...)
		}
		page = page[:min(int64(len(page)), left)]
		n, err := op(ctx, page...)
		total += n
		var refused *WrongTypeError
		var held *EffectsError
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
	if _, names := err.(*WrongTypeError); err == nil || names {
		return err
	}
	return fmt.Errorf("%s set: %w", js.name, err)
}
