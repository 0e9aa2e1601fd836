package queue

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Line is a list of jobs that wait.
type Line struct {
	Size int64         // how many
	Age  time.Duration // how long the job that is next has waited; 0 without jobs
	Err  error         // such as a key of a wrong type
}

// Lines reads lists of jobs, by their keys, in one round trip.
func (s *Store) Lines(ctx context.Context, keys []string) (list []Line, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	replies := make([]*redis.Cmd, len(keys))
	for range 2 {
		pipe := s.db.Shared.Pipeline()
		for i, key := range keys {
			replies[i] = s.db.Queue(ctx, pipe, oldestScript, []string{key}, envelope.WholeBytes,
				envelope.HeadBytes, envelope.TailBytes)
		}
		if _, err = pipe.Exec(ctx); !redis.HasErrorPrefix(err, "NOSCRIPT") {
			break
		}
		if err := s.db.Load(ctx, oldestScript); err != nil {
			return nil, err
		}
	}
	if err != nil && !redisdb.Answered(err) {
		return nil, err
	}
	now := time.Now()
	list = make([]Line, len(keys))
	for i := range keys {
		reply, err := replies[i].Slice()
		list[i] = readOldest(reply, now)
		list[i].Err = err
	}
	return list, nil
}

// Waiting reads queues, by their names, in one round trip.
func (s *Store) Waiting(ctx context.Context, names []string) ([]Line, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = s.ks.Queue(name)
	}
	return s.Lines(ctx, keys)
}

// readOldest decodes the reply of oldestScript.
func readOldest(reply []any, now time.Time) (l Line) {
	if len(reply) > 0 {
		l.Size, _ = reply[0].(int64)
	}
	if len(reply) > 1 {
		l.Age = waited(reply[1:], now)
	}
	return l
}

// waited returns how long a job has waited, or 0 for bytes that are no job. parts are its payload,
// or the head and the tail of it.
func waited(parts []any, now time.Time) time.Duration {
	var text [2]string
	for i := range min(len(parts), len(text)) {
		text[i], _ = parts[i].(string)
	}
	j, err := envelope.ParseJob(text[0])
	if len(parts) == 2 {
		j, _ = envelope.Excerpt(text[0], text[1])
	} else if err != nil {
		return 0
	}
	if j == nil {
		return 0
	}
	return j.Waited(now)
}
