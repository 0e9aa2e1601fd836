package queue

import (
	"cmp"
	"context"
	"fmt"
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

// Name is the set's key without the namespace.
func (js *JobSet) Name() string { return js.name }

// Key is the set's key.
func (js *JobSet) Key() string { return js.store.ks.Key(js.name) }

func (js *JobSet) source() source { return source{js.store, js.rdb, js.Key()} }

// RetrySet holds jobs that failed and wait for their next attempt.
func (s *Store) RetrySet() *JobSet { return &JobSet{s, redisdb.KeyRetry, s.db.Shared} }

// ScheduleSet holds jobs that are not due yet.
func (s *Store) ScheduleSet() *JobSet { return &JobSet{s, redisdb.KeySchedule, s.db.Shared} }

// DeadSet holds jobs that will not run again by themselves.
func (s *Store) DeadSet() *JobSet { return &JobSet{s, redisdb.KeyDead, s.db.Shared} }

// HoldSet holds jobs of a class that a worker without a handler for it has put aside. It is a
// sorted set by the time at which they were put there.
func (s *Store) HoldSet(class string) *JobSet {
	return &JobSet{s, "kyu:hold:" + class, s.db.Shared}
}

// Entry is a member of a set. Bytes that are no job have a nil Job.
type Entry struct {
	Raw string
	At  time.Time // when it is due, or when it died
	Job *Job
}

// NewEntry makes the Entry of a member and its score.
func NewEntry(raw string, at float64) Entry {
	j, _ := envelope.ParseJob(envelope.Original(raw)) // the dead set holds more than jobs
	return Entry{Raw: raw, At: envelope.FromUnix(at), Job: j}
}

// Read gives a page of entries after the first skip: of the dead set the last to die first, else
// the first to be due first. left is how many there are behind them.
func (js *JobSet) Read(ctx context.Context, skip int, size *redisdb.PageSize) (list []Entry,
	left int, err error) {
	order := ascending
	if js.name == redisdb.KeyDead {
		order = descending
	}
	list, left, err = js.source().read(ctx, "+inf", order, skip, size)
	return list, left, js.wrap(err)
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
	n, err := js.rdb.ZRem(ctx, js.Key(), members...).Result()
	return int(n), js.wrap(err)
}

// drop is Delete or Kill with the effects of the jobs.
func (js *JobSet) drop(ctx context.Context, event EffectEvent, list []Entry) (int, error) {
	n, err := js.store.drop(ctx, js.rdb, js.Key(), event, raws(list))
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
	return js.move(ctx, list, now, func(j *Job) string { return js.store.Enqueued(j, now) })
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
	page := redisdb.NewPageSize(scanPage, redisdb.PageBytes)
	moved, stay, err := js.source().move(ctx, moves, now, page)
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
		moves[i] = move{member: e.Raw, payload: envelope.ForDeadSet(e.Raw)}
	}
	return js.carry(ctx, moves, time.Now())
}

// Reschedule makes an entry due at another time. The error is ErrNotFound if it
// has left the set.
func (js *JobSet) Reschedule(ctx context.Context, e Entry, at time.Time) error {
	n, err := js.rdb.ZAddArgs(ctx, js.Key(), redis.ZAddArgs{XX: true, Ch: true,
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
		return js.wrap(js.rdb.Unlink(ctx, js.Key()).Err())
	}
	now, err := js.rdb.ZCard(ctx, js.Key()).Result()
	if err != nil {
		return js.wrap(err)
	}
	return js.wrap(js.store.dropAll(ctx, js.rdb, js.Key(), now, func(n int64) ([]string, error) {
		size := redisdb.NewPageSize(int(n), redisdb.PageBytes)
		page, _, err := js.source().read(ctx, "+inf", ascending, 0, &size)
		return raws(page), err
	}))
}

func (js *JobSet) wrap(err error) error {
	if _, names := err.(*WrongTypeError); err == nil || names {
		return err
	}
	return fmt.Errorf("%s set: %w", js.name, err)
}
