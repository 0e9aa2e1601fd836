package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"

	"github.com/redis/go-redis/v9"
)

var oldestScript = redisdb.MustScript(luaFiles, "lua/oldest.lua")

// Stats are the figures of the whole fleet.
type Stats struct {
	Processed      int64   `json:"processed"` // ever, failures included
	Failed         int64   `json:"failed"`
	Enqueued       int64   `json:"enqueued"` // waiting in all queues
	Scheduled      int64   `json:"scheduled"`
	Retries        int64   `json:"retries"`
	Dead           int64   `json:"dead"`
	Processes      int64   `json:"processes"`
	Busy           int     `json:"busy"`
	DefaultLatency float64 `json:"default_latency"` // of the queue "default", in seconds
}

// Stats reads the figures.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	pipe := s.db.Shared.Pipeline()
	processed, failed := pipe.Get(ctx, s.ks.Processed()), pipe.Get(ctx, s.ks.Failed())
	scheduled, retries, dead := pipe.ZCard(ctx, s.ks.Schedule()),
		pipe.ZCard(ctx, s.ks.Retry()), pipe.ZCard(ctx, s.ks.Dead())
	processes := pipe.SCard(ctx, s.ks.Processes())
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return st, fmt.Errorf("stats: %w", err)
	}
	st = Stats{Scheduled: scheduled.Val(), Retries: retries.Val(), Dead: dead.Val(),
		Processes: processes.Val()}
	st.Processed, _ = processed.Int64()
	st.Failed, _ = failed.Int64()
	queues, err := s.Queues(ctx)
	if err != nil {
		return st, err
	}
	for _, q := range queues {
		st.Enqueued += q.Size
		if q.Name == "default" {
			st.DefaultLatency = q.Latency
		}
	}
	live, err := s.Processes(ctx)
	for _, p := range live {
		st.Busy += p.Busy
	}
	return st, err
}

// Day is what was done on a day, in UTC.
type Day struct {
	Date      string `json:"date"` // 2026-11-22
	Processed int64  `json:"processed"`
	Failed    int64  `json:"failed"`
}

// History gives the last days, today first. Redis keeps five years.
func (s *Store) History(ctx context.Context, days int) ([]Day, error) {
	if days < 1 || days > 5*365 {
		return nil, fmt.Errorf("history: %d days: want 1 to %d", days, 5*365)
	}
	list := make([]Day, days)
	keys := make([]string, 0, 2*days)
	for i := range list {
		list[i].Date = time.Now().UTC().AddDate(0, 0, -i).Format(time.DateOnly)
		keys = append(keys, s.ks.Processed()+":"+list[i].Date,
			s.ks.Failed()+":"+list[i].Date)
	}
	values, err := s.db.Shared.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	number := func(v any) int64 {
		text, _ := v.(string)
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	for i := range list {
		list[i].Processed, list[i].Failed = number(values[2*i]), number(values[2*i+1])
	}
	return list, nil
}

// QueueInfo describes a queue.
type QueueInfo struct {
	Name    string  `json:"name"`
	Size    int64   `json:"size"`
	Latency float64 `json:"latency"` // age of the oldest job, in seconds; 0 without jobs
	Paused  bool    `json:"paused"`
}

// Queues lists the queues that were ever pushed to, by name. One whose key has the wrong
// type is listed as empty: it must not hide the others.
func (s *Store) Queues(ctx context.Context) ([]QueueInfo, error) {
	pipe := s.db.Shared.Pipeline()
	queues, shut := pipe.SMembers(ctx, s.ks.Queues()), pipe.SMembers(ctx, s.ks.Paused())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	names := queues.Val()
	slices.Sort(names)
	list, problems, err := s.describe(ctx, names, shut.Val())
	for _, problem := range problems {
		if !redisdb.IsWrongType(problem) {
			err = errors.Join(err, problem)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	return list, nil
}

// Queue describes one queue; one that nobody has pushed to is empty.
func (s *Store) Queue(ctx context.Context, name string) (QueueInfo, error) {
	paused, err := s.db.Shared.SIsMember(ctx, s.ks.Paused(), name).Result()
	if err != nil {
		return QueueInfo{}, fmt.Errorf("queue %s: %w", name, err)
	}
	list, problems, err := s.describe(ctx, []string{name}, nil)
	if err = errors.Join(append(problems, err)...); err != nil {
		return QueueInfo{}, fmt.Errorf("queue %s: %w", name, err)
	}
	list[0].Paused = paused
	return list[0], nil
}

// describe reads queues in one round trip. problems are those of single queues.
func (s *Store) describe(ctx context.Context, names, paused []string) (list []QueueInfo,
	problems []error, err error) {
	if len(names) == 0 {
		return []QueueInfo{}, nil, nil
	}
	replies := make([]*redis.Cmd, len(names))
	for range 2 {
		pipe := s.db.Shared.Pipeline()
		for i, name := range names {
			keys := []string{s.ks.Queue(name)}
			replies[i] = s.db.Queue(ctx, pipe, oldestScript, keys, envelope.WholeBytes,
				envelope.HeadBytes, envelope.TailBytes)
		}
		if _, err = pipe.Exec(ctx); !redis.HasErrorPrefix(err, "NOSCRIPT") {
			break
		}
		if err := s.db.Load(ctx, oldestScript); err != nil {
			return nil, nil, err
		}
	}
	if err != nil && !redisdb.Answered(err) {
		return nil, nil, err
	}
	now := time.Now()
	for i, name := range names {
		reply, err := replies[i].Slice()
		if err != nil {
			problems = append(problems, err)
		}
		size, age := readOldest(reply, now)
		list = append(list, QueueInfo{name, size, age, slices.Contains(paused, name)})
	}
	return list, problems, nil
}

// readOldest reads the reply about one queue.
func readOldest(reply []any, now time.Time) (size int64, age float64) {
	if len(reply) > 0 {
		size, _ = reply[0].(int64)
	}
	var text [2]string
	for i := range min(len(reply)-1, 2) {
		text[i], _ = reply[i+1].(string)
	}
	if len(reply) < 3 {
		return size, latency(text[0], now)
	}
	j, ok := envelope.Excerpt(text[0], text[1])
	if !ok {
		return size, 0
	}
	return size, j.Waited(now).Seconds()
}

// latency is how long a payload has been waiting, in seconds.
func latency(raw string, now time.Time) float64 {
	j, err := envelope.ParseJob(raw)
	if err != nil {
		return 0
	}
	return j.Waited(now).Seconds()
}

// QueuePage reads up to count payloads of a queue, the next to run first, from
// the offset-th on.
func (s *Store) QueuePage(ctx context.Context, name string, offset, count int64) ([]string, error) {
	first, last, some := window(offset, count)
	if !some {
		return nil, nil
	}
	// the next to run is on the right
	page, err := s.db.Shared.LRange(ctx, s.ks.Queue(name), -last-1, -first-1).Result()
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	slices.Reverse(page)
	return page, nil
}

// FindInQueue looks through a queue, a page at a time, for a job. The error is
// ErrNotFound if it is not there.
func (s *Store) FindInQueue(ctx context.Context, name, jid string) (*Job, error) {
	for offset := int64(0); ; offset += scanPage {
		page, err := s.QueuePage(ctx, name, offset, scanPage)
		if err != nil {
			return nil, err
		}
		for _, raw := range page {
			if j, err := envelope.ParseJob(raw); err == nil && j.JID == jid {
				return j, nil
			}
		}
		if len(page) < scanPage {
			return nil, fmt.Errorf("job %s in queue %s: %w", jid, name, ErrNotFound)
		}
	}
}

// DeleteFromQueue removes one job, given by its bytes. The error is ErrNotFound
// if it has left the queue.
func (s *Store) DeleteFromQueue(ctx context.Context, name, raw string) error {
	n, err := s.remove(ctx, s.ks.Queue(name), raw)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("queue %s: delete: %w", name, err)
	}
	return nil
}

// remove takes one job out of a queue.
func (s *Store) remove(ctx context.Context, list, raw string) (int, error) {
	if s.effects != nil {
		return s.drop(ctx, s.db.Shared, list, EventDelete, []string{raw})
	}
	n, err := s.db.Shared.LRem(ctx, list, 1, raw).Result()
	return int(n), err
}

// ClearQueue removes all jobs of a queue and its name from the set of queues. With
// capabilities it does so a page at a time, and leaves what comes meanwhile.
func (s *Store) ClearQueue(ctx context.Context, name string) (err error) {
	if s.effects != nil {
		err = s.dropQueue(ctx, name)
	} else {
		err = s.unlinkQueue(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("queue %s: clear: %w", name, err)
	}
	return nil
}

func (s *Store) unlinkQueue(ctx context.Context, name string) error {
	_, err := s.db.Shared.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Unlink(ctx, s.ks.Queue(name))
		p.SRem(ctx, s.ks.Queues(), name)
		return nil
	})
	return err
}

// Pause makes workers leave a queue alone: at once for what they fetch, within
// a second where one sleeps on it. Jobs can still be pushed.
func (s *Store) Pause(ctx context.Context, name string) error {
	return s.db.Shared.SAdd(ctx, s.ks.Paused(), name).Err()
}

// Unpause lets workers at a queue again.
func (s *Store) Unpause(ctx context.Context, name string) error {
	return s.db.Shared.SRem(ctx, s.ks.Paused(), name).Err()
}
