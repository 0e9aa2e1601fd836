package inspect

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

var oldestScript = redisdb.MustScript(luaFiles, "lua/oldest.lua")

// QueueInfo describes a queue.
type QueueInfo struct {
	Name    string  `json:"name"`
	Size    int64   `json:"size"`    // how many jobs wait in it
	Latency float64 `json:"latency"` // age of the oldest job, in seconds; 0 without jobs
	Paused  bool    `json:"paused"`
}

// Queues returns the queues to which jobs were ever pushed, by name. A queue whose key has a wrong
// type is listed as empty, so that the other queues can be shown.
func (in *Inspector) Queues(ctx context.Context) ([]QueueInfo, error) {
	pipe := in.rdb.Pipeline()
	queues, paused := pipe.SMembers(ctx, in.ks.Queues()), pipe.SMembers(ctx, in.ks.Paused())
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	names := queues.Val()
	slices.Sort(names)
	list, problems, err := in.describe(ctx, names, paused.Val())
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

// Queue returns one queue. A queue to which no job was pushed is empty. It is an error if the key
// of the queue has a wrong type.
func (in *Inspector) Queue(ctx context.Context, name string) (QueueInfo, error) {
	paused, err := in.rdb.SIsMember(ctx, in.ks.Paused(), name).Result()
	if err != nil {
		return QueueInfo{}, fmt.Errorf("queue %s: %w", name, err)
	}
	list, problems, err := in.describe(ctx, []string{name}, nil)
	if err = errors.Join(append(problems, err)...); err != nil {
		return QueueInfo{}, fmt.Errorf("queue %s: %w", name, err)
	}
	list[0].Paused = paused
	return list[0], nil
}

// describe reads queues in one round trip. problems are the errors of single queues.
func (in *Inspector) describe(ctx context.Context, names, paused []string) (list []QueueInfo,
	problems []error, err error) {
	if len(names) == 0 {
		return []QueueInfo{}, nil, nil
	}
	replies := make([]*redis.Cmd, len(names))
	for range 2 {
		pipe := in.rdb.Pipeline()
		for i, name := range names {
			keys := []string{in.ks.Queue(name)}
			replies[i] = in.db.Queue(ctx, pipe, oldestScript, keys, envelope.WholeBytes,
				envelope.HeadBytes, envelope.TailBytes)
		}
		if _, err = pipe.Exec(ctx); !redis.HasErrorPrefix(err, "NOSCRIPT") {
			break
		}
		if err := in.db.Load(ctx, oldestScript); err != nil {
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

// readOldest decodes the reply of oldestScript. age is in seconds.
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

// latency returns how many seconds a job has waited, or 0 for bytes that are no job.
func latency(raw string, now time.Time) float64 {
	j, err := envelope.ParseJob(raw)
	if err != nil {
		return 0
	}
	return j.Waited(now).Seconds()
}

// QueuePage returns up to count payloads of a queue, after the first offset, the next one to run
// first.
func (in *Inspector) QueuePage(ctx context.Context, name string,
	offset, count int64) ([]string, error) {
	first, last, some := window(offset, count)
	if !some {
		return nil, nil
	}
	// the next job to run is the last of the list
	page, err := in.rdb.LRange(ctx, in.ks.Queue(name), -last-1, -first-1).Result()
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	slices.Reverse(page)
	return page, nil
}

// FindInQueue searches a queue for a job, a page at a time. The error is queue.ErrNotFound if the
// job is not there.
func (in *Inspector) FindInQueue(ctx context.Context, name, jid string) (*queue.Job, error) {
	for offset := int64(0); ; offset += scanPage {
		page, err := in.QueuePage(ctx, name, offset, scanPage)
		if err != nil {
			return nil, err
		}
		for _, raw := range page {
			if j, err := envelope.ParseJob(raw); err == nil && j.JID == jid {
				return j, nil
			}
		}
		if len(page) < scanPage {
			return nil, fmt.Errorf("job %s in queue %s: %w", jid, name, queue.ErrNotFound)
		}
	}
}
