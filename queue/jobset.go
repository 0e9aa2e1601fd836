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

// pageCount is how many members one call moves.
const pageCount = 100

// JobSet is one of the sorted sets of jobs: the retry set, the schedule set, the dead set, or the
// hold set of a class. It is safe for concurrent use.
type JobSet struct {
	store *Store
	name  string        // its key without the namespace
	rdb   *redis.Client // the connections that it uses
}

// Name returns the set's key without the namespace.
func (js *JobSet) Name() string { return js.name }

// Key returns the set's key.
func (js *JobSet) Key() string { return js.store.ks.Key(js.name) }

func (js *JobSet) sortedSet() sortedSet { return sortedSet{js.store, js.rdb, js.Key()} }

// RetrySet returns the set of the jobs that failed and wait for their next attempt.
func (s *Store) RetrySet() *JobSet { return &JobSet{s, redisdb.KeyRetry, s.db.Shared} }

// ScheduleSet returns the set of the jobs that were pushed or put off to a later time.
func (s *Store) ScheduleSet() *JobSet { return &JobSet{s, redisdb.KeySchedule, s.db.Shared} }

// DeadSet returns the set of the jobs that run again only by hand.
func (s *Store) DeadSet() *JobSet { return &JobSet{s, redisdb.KeyDead, s.db.Shared} }

// HoldSet returns the set of the held jobs of a class: a worker that had no handler for the class
// put them there. They are sorted by the time when they were held.
func (s *Store) HoldSet(class string) *JobSet {
	return &JobSet{s, "kyu:hold:" + class, s.db.Shared}
}

// Set returns the set whose JobSet.Name is name.
func (s *Store) Set(name string) *JobSet { return &JobSet{s, name, s.db.Shared} }

// Entry is a member of a JobSet.
type Entry struct {
	Raw string    // the member, byte for byte
	At  time.Time // when the job is due, died, or was held
	Job *Job      // nil if the member is no job
	// Score is At as Redis has it, in seconds; empty if the entry was not read by JobSet.Read.
	Score string
}

// NewEntry returns the Entry of a member and its score.
func NewEntry(raw string, at float64) Entry {
	e := Entry{Raw: raw, At: envelope.FromUnix(at)}
	e.Parse()
	return e
}

// Parse sets Job.
func (e *Entry) Parse() {
	e.Job, _ = envelope.ParseJob(envelope.Original(e.Raw)) // the dead set holds more than jobs
}

// Read returns a page of entries by their times, the earliest first, from the score low on ("-inf":
// all), after the first skip of these. Their jobs are not parsed: that costs more than the reading.
// left is the number of entries behind the page. It is for the packages of this module.
func (js *JobSet) Read(ctx context.Context, low string, skip int,
	size *redisdb.PageSize) (list []Entry, left int, err error) {
	list, left, err = js.sortedSet().read(ctx, low, "+inf", skip, size)
	return list, left, js.wrap(err)
}

// Delete removes entries, and returns how many it found in the set. With capabilities the error may
// be an *EffectsError: the entries are removed, but effects of some have failed.
func (js *JobSet) Delete(ctx context.Context, list ...Entry) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	if js.store.effects != nil {
		return js.remove(ctx, EventDelete, list)
	}
	members := make([]any, len(list))
	for i, e := range list {
		members[i] = e.Raw
	}
	n, err := js.rdb.ZRem(ctx, js.Key(), members...).Result()
	return int(n), js.wrap(err)
}

// remove is Delete or Kill with the effects of the jobs.
func (js *JobSet) remove(ctx context.Context, event EffectEvent, list []Entry) (int, error) {
	n, err := js.store.remove(ctx, js.rdb, js.Key(), event, raws(list))
	return n, js.wrap(err)
}

// raws returns the members of entries.
func raws(list []Entry) []string {
	members := make([]string, len(list))
	for i, e := range list {
		members[i] = e.Raw
	}
	return members
}

// AddToQueue moves jobs to the back of their queues without giving an attempt back, and returns how
// many it found in the set. Entries that are no jobs stay. The error is a *WrongTypeError if jobs
// stay because keys have a wrong type.
func (js *JobSet) AddToQueue(ctx context.Context, list ...Entry) (int, error) {
	now := time.Now()
	return js.move(ctx, list, now, func(j *Job) string { return js.store.Enqueued(j, now) })
}

// Retry is AddToQueue, but gives each job one attempt back, as Sidekiq's "Retry now" does.
func (js *JobSet) Retry(ctx context.Context, list ...Entry) (int, error) {
	now := time.Now()
	return js.move(ctx, list, now, func(j *Job) string { return js.store.retriedByHand(j, now) })
}

// move moves jobs to their queues, with their payloads rewritten.
func (js *JobSet) move(ctx context.Context, list []Entry, now time.Time,
	rewrite func(*Job) string) (int, error) {
	var moves []move
	for _, e := range list {
		if e.Job != nil {
			moves = append(moves, move{e.Raw, rewrite(e.Job), cmp.Or(e.Job.Queue, "default")})
		}
	}
	return js.moveAll(ctx, moves, now)
}

// moveAll carries out moves, in calls of limited size.
func (js *JobSet) moveAll(ctx context.Context, moves []move, now time.Time) (int, error) {
	page := redisdb.NewPageSize(pageCount, redisdb.PageBytes)
	moved, left, err := js.sortedSet().move(ctx, moves, now, page)
	if err == nil {
		err = left.err()
	}
	return moved, js.wrap(err)
}

// Kill moves entries to the dead set unchanged, and returns how many it found in the set. The error
// is a *WrongTypeError if the key of the dead set has a wrong type; for an *EffectsError see
// Delete.
func (js *JobSet) Kill(ctx context.Context, list ...Entry) (int, error) {
	if len(list) == 0 || js.name == redisdb.KeyDead {
		return 0, nil
	}
	if js.store.effects != nil {
		return js.remove(ctx, EventDead, list)
	}
	moves := make([]move, len(list))
	for i, e := range list {
		moves[i] = move{member: e.Raw, payload: envelope.ForDeadSet(e.Raw)}
	}
	return js.moveAll(ctx, moves, time.Now())
}

// Reschedule makes an entry due at another time. The error is ErrNotFound if the entry is not in
// the set.
func (js *JobSet) Reschedule(ctx context.Context, e Entry, at time.Time) error {
	n, err := js.rdb.ZAddArgs(ctx, js.Key(), redis.ZAddArgs{XX: true, Ch: true,
		Members: []redis.Z{{Score: envelope.Unix(at), Member: e.Raw}}}).Result()
	if err == nil && n == 0 && !at.Equal(e.At) {
		err = ErrNotFound
	}
	return js.wrap(err)
}

// Clear removes all entries. With capabilities it removes the entries that are there when it
// begins, a page at a time, and the error may be an *EffectsError as for Delete.
func (js *JobSet) Clear(ctx context.Context) error {
	if js.store.effects == nil {
		return js.wrap(js.rdb.Unlink(ctx, js.Key()).Err())
	}
	now, err := js.rdb.ZCard(ctx, js.Key()).Result()
	if err != nil {
		return js.wrap(err)
	}
	return js.wrap(js.store.removeAll(ctx, js.rdb, js.Key(), now, func(n int64) ([]string, error) {
		size := redisdb.NewPageSize(int(n), redisdb.PageBytes)
		page, _, err := js.sortedSet().read(ctx, "-inf", "+inf", 0, &size)
		return raws(page), err
	}))
}

// wrap adds the name of the set to an error, unless it names keys.
func (js *JobSet) wrap(err error) error {
	if _, names := err.(*WrongTypeError); err == nil || names {
		return err
	}
	return fmt.Errorf("%s set: %w", js.name, err)
}
