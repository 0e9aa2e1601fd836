package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// DueSets are the sets whose jobs become due, in the order in which Sidekiq
// looks at them.
var DueSets = []string{redisdb.KeyRetry, redisdb.KeySchedule}

var pageScript = mustScript("page")

// maxPageErrors is how many calls of a round may fail before a Promotion lets Redis be
// until the next round. It is enough to halve a page down to the member that is at fault.
const maxPageErrors = 16

// Promotion is a poller's walk over the due jobs of a set ("retry" or "schedule"): round
// after round, a page at a time, it moves them to the heads of their queues. Members that
// are not jobs go to the dead set as they are. What cannot be moved, it passes over, and
// tries again in the next round. Several pollers, Ruby's too, share the work without loss
// or double. It is for one goroutine.
type Promotion struct {
	store  *Store
	set    string
	page   redisdb.PageSize
	skip   int // due members at the front of the set that the round has passed over
	errors int // of the round
}

// Promotion makes a walk in pages of up to count jobs.
func (s *Store) Promotion(set string, count int) *Promotion {
	return &Promotion{store: s, set: set, page: redisdb.NewPageSize(count, redisdb.PageBytes)}
}

// Next moves a page. moved counts the jobs that this call moved, due those that it looked
// at; more reports whether the round goes on, also after an error. The error tells of a
// page, or of jobs (a WrongTypeError), that stayed where they are.
func (p *Promotion) Next(ctx context.Context, now time.Time) (moved, due int, more bool,
	err error) {
	s := p.store
	from := source{s, s.db.Own, s.ks.Key(p.set)}
	entries, left, err := from.read(ctx, envelope.Score(now), ascending, p.skip, &p.page)
	if err != nil {
		more = p.failed(err, redisdb.Answered(err)) // a reply is about the set, not about a member
		return 0, 0, more, fmt.Errorf("promote %s: %w", p.set, err)
	}
	moves := make([]move, len(entries))
	for i, e := range entries {
		moves[i] = move{member: e.Raw, payload: envelope.ForDeadSet(e.Raw)} // unless it is a job
		if e.Job != nil {
			moves[i] = move{e.Raw, s.Enqueued(e.Job, now), cmp.Or(e.Job.Queue, "default")}
		}
	}
	failpoint.Hit("promote_before")
	moved, stay, err := from.move(ctx, moves, now, p.page)
	if err != nil {
		more = p.failed(err, redisdb.ServesNobody(err))
		return moved, moved, more, fmt.Errorf("promote %s: %w", p.set, err)
	}
	p.page.Grow()
	p.skip += stay.jobs
	if more = left > 0; !more {
		p.skip, p.errors = 0, 0
	}
	return moved, len(moves), more, stay.err()
}

// failed notes a page that could not be read or moved, and reports whether the round goes
// on. A smaller page may fit; a single member that does not is passed over. An error that
// is not about the page ends the round, and the next one takes it up where it was.
func (p *Promotion) failed(err error, other bool) (more bool) {
	p.errors++
	if other = other || redisdb.Unsent(err); !other {
		if p.page.Smallest() {
			p.skip++
		}
		p.page.Shrink()
	}
	if other || p.errors >= maxPageErrors {
		p.errors = 0
		return false
	}
	return true
}

// Promote moves due jobs of a set until it has looked at count of them, or at all. moved
// counts those that this call moved.
func (s *Store) Promote(ctx context.Context, set string, now time.Time, count int) (moved, due int,
	err error) {
	var problems []error
	p := s.Promotion(set, count)
	for more := true; more && due < count; {
		var m, d int
		m, d, more, err = p.Next(ctx, now)
		moved, due = moved+m, due+d
		problems = append(problems, err)
	}
	return moved, due, errors.Join(problems...)
}

// move takes a member out of a sorted set.
type move struct {
	member, payload string // no payload: the member as it is
	queue           string // empty: to the dead set
}

func (m *move) size() int { return len(m.member) + len(m.payload) }

// staying is the members that a move left where they were: they would have gone to keys
// of the wrong type.
type staying struct {
	jobs int
	keys []string
}

func (s *staying) err() error {
	if s.jobs == 0 {
		return nil
	}
	slices.Sort(s.keys)
	return &WrongTypeError{slices.Compact(s.keys), s.jobs}
}

// source is a sorted set that jobs are taken out of.
type source struct {
	store *Store
	c     *redis.Client
	key   string
}

// move carries moves out, in calls of a page each, and returns how many members were still
// there.
func (o source) move(ctx context.Context, moves []move, now time.Time,
	page redisdb.PageSize) (moved int, stay staying, err error) {
	size := func(i int) int { return moves[i].size() }
	err = page.Pages(len(moves), size, func(from, to int) error {
		reply, err := o.movePage(ctx, moves[from:to], now)
		for _, r := range reply {
			switch r := r.(type) {
			case int64:
				moved += int(max(r, 0))
				stay.jobs -= int(min(r, 0))
			case string:
				stay.keys = append(stay.keys, r)
			}
		}
		return err
	})
	return moved, stay, err
}

func (o source) movePage(ctx context.Context, moves []move, now time.Time) ([]any, error) {
	s := o.store
	keys := []string{o.key, s.ks.Queues(), s.ks.Dead()}
	args := []any{envelope.Score(now), envelope.Score(now.Add(-s.deadLimits.age)), s.deadLimits.max,
		s.ks.QueuePrefixLen()}
	lists := map[string]int{"": -1}
	for _, m := range moves {
		i, seen := lists[m.queue]
		if !seen {
			i = len(lists) - 1
			lists[m.queue] = i
			keys = append(keys, s.ks.Queue(m.queue))
		}
		args = append(args, m.member, m.payload, i)
	}
	return s.db.RunOn(ctx, o.c, promoteScript, keys, args...).Slice()
}

// The orders in which members are read, by their scores.
const (
	ascending  = "asc"
	descending = "desc"
)

// read gives members with scores up to a limit, after the first skip of them. left is how
// many there are behind them.
func (o source) read(ctx context.Context, limit, order string, skip int, page *redisdb.PageSize) (
	list []Entry, left int, err error) {
	args := []any{limit, skip, page.Count(), page.Bytes(), order}
	reply, err := o.store.db.RunOn(ctx, o.c, pageScript, []string{o.key}, args...).Slice()
	if err != nil || len(reply) == 0 {
		return nil, 0, err
	}
	for i := 1; i+1 < len(reply); i += 2 {
		raw, _ := reply[i].(string)
		text, _ := reply[i+1].(string)
		at, _ := strconv.ParseFloat(text, 64)
		list = append(list, NewEntry(raw, at))
	}
	size, _ := reply[0].(int64)
	return list, max(int(size)-skip-len(list), 0), nil
}
