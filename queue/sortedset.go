package queue

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

var pageScript = mustScript("page")

// sortedSet is a sorted set from which jobs are moved to queues or to the dead set.
type sortedSet struct {
	store *Store
	c     *redis.Client
	key   string
}

// move says where a member of a sorted set goes.
type move struct {
	member  string
	payload string // the payload that is stored; the member itself if empty
	queue   string // the dead set if empty
}

func (m *move) size() int { return len(m.member) + len(m.payload) }

// stayed counts the members that were not moved, because the keys to which they would go have wrong
// types.
type stayed struct {
	jobs int
	keys []string
}

func (s *stayed) err() error {
	if s.jobs == 0 {
		return nil
	}
	slices.Sort(s.keys)
	return &WrongTypeError{slices.Compact(s.keys), s.jobs}
}

// move carries out moves, a page in each call. It returns how many members it found and moved, and
// those that stayed.
func (o sortedSet) move(ctx context.Context, moves []move, now time.Time,
	page redisdb.PageSize) (moved int, left stayed, err error) {
	size := func(i int) int { return moves[i].size() }
	err = page.Pages(len(moves), size, func(from, to int) error {
		reply, err := o.movePage(ctx, moves[from:to], now)
		for _, r := range reply {
			switch r := r.(type) {
			case int64: // of a member: 1, 0 or -1
				moved += int(max(r, 0))
				left.jobs -= int(min(r, 0))
			case string:
				left.keys = append(left.keys, r)
			}
		}
		return err
	})
	return moved, left, err
}

func (o sortedSet) movePage(ctx context.Context, moves []move, now time.Time) ([]any, error) {
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

// read returns members, whose jobs are not parsed, with scores from low up to a limit, after the
// first skip of them. left is the number of such members behind the page.
func (o sortedSet) read(ctx context.Context, low, limit string, skip int,
	page *redisdb.PageSize) (list []Entry, left int, err error) {
	args := []any{limit, skip, page.Count(), page.Bytes(), low}
	reply, err := o.store.db.RunOn(ctx, o.c, pageScript, []string{o.key}, args...).Slice()
	if err != nil || len(reply) == 0 {
		return nil, 0, err
	}
	for i := 1; i+1 < len(reply); i += 2 {
		raw, _ := reply[i].(string)
		text, _ := reply[i+1].(string)
		at, _ := strconv.ParseFloat(text, 64)
		list = append(list, Entry{Raw: raw, At: envelope.FromUnix(at), Score: text})
	}
	size, _ := reply[0].(int64)
	return list, max(int(size)-skip-len(list), 0), nil
}
