package compare

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
)

// sidekiqLists are Sidekiq's lists, which Kyu shares.
type sidekiqLists struct{ *lab.Lab }

func (s sidekiqLists) fill(ctx context.Context, n int, l load) error {
	s.Raw.FlushAll(ctx)
	class, text := "Test::NoOp", strings.Repeat("x", l.bytes)
	if l.ms > 0 {
		class = "Test::Wait"
	}
	if l.goTimer {
		class = "Test::Sleep"
	}
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i, text}
		if l.ms > 0 {
			args[i] = []any{l.ms}
		}
	}
	_, err := s.Client.PushBulk(ctx, class, args, queue.Options{})
	return err
}

func (s sidekiqLists) trickle(ctx context.Context, n int, path string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		if _, err := s.Client.Push(ctx, "Test::Stamp", []any{path, time.Now().UnixMicro()},
			queue.Options{}); err != nil {
			return err
		}
	}
	return nil
}

func (s sidekiqLists) ledger(ctx context.Context, n int, path string, ms int) error {
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{path, strconv.Itoa(i), ms}
	}
	_, err := s.Client.PushBulk(ctx, "Test::Ledger", args, queue.Options{})
	return err
}

func (s sidekiqLists) begun(ctx context.Context, n int) (bool, error) {
	left, err := s.Raw.LLen(ctx, "queue:default").Result()
	return left < int64(n), err
}

// left counts jobs that wait, also in lanes, and those that a Kyu worker has taken. Redis does not
// show the jobs that a Sidekiq worker has taken.
func (s sidekiqLists) left(ctx context.Context) (int64, error) {
	n, err := s.Raw.LLen(ctx, "queue:default").Result()
	if n > 0 || err != nil {
		return n, err
	}
	parked, _ := s.Raw.HGet(ctx, "kyu:{queue:default}:lanes", "parked").Int64() // 0 without lanes
	n += parked
	for _, key := range s.Raw.Keys(ctx, "kyu:{queue:default}:*").Val() {
		if strings.Contains(key, ":inflight:") {
			n += s.Raw.HLen(ctx, key).Val()
		}
	}
	return n, nil
}

func (s sidekiqLists) pid() int { return s.RedisPID() }

// asynqKeys are Asynq's keys in Redis.
type asynqKeys struct{ program }

func (a asynqKeys) fill(ctx context.Context, n int, l load) error {
	a.c.Raw.FlushAll(ctx)
	_, err := a.run(ctx, "fill", n, l.bytes, l.ms, l.goTimer)
	return err
}

func (a asynqKeys) begun(ctx context.Context, n int) (bool, error) {
	left, err := a.c.Raw.LLen(ctx, "asynq:{default}:pending").Result()
	return left < int64(n), err
}

func (a asynqKeys) left(ctx context.Context) (n int64, err error) {
	for _, key := range []string{"asynq:{default}:pending", "asynq:{default}:active"} {
		k, err := a.c.Raw.LLen(ctx, key).Result()
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

func (a asynqKeys) pid() int { return a.c.RedisPID() }

// riverTable is River's table in Postgres.
type riverTable struct{ program }

func (r riverTable) fill(ctx context.Context, n int, l load) error {
	if _, err := r.run(ctx, "setup"); err != nil {
		return err
	}
	if _, err := r.c.pg.Exec(ctx, "TRUNCATE river_job"); err != nil {
		return err
	}
	if _, err := r.run(ctx, "fill", n, l.bytes, l.ms, l.goTimer); err != nil {
		return err
	}
	_, err := r.c.pg.Exec(ctx, "VACUUM ANALYZE river_job")
	return err
}

func (r riverTable) begun(ctx context.Context, _ int) (begun bool, err error) {
	err = r.c.pg.QueryRow(ctx,
		"SELECT EXISTS (SELECT FROM river_job WHERE state <> 'available')").Scan(&begun)
	return begun, err
}

func (r riverTable) left(ctx context.Context) (n int64, err error) {
	err = r.c.pg.QueryRow(ctx,
		"SELECT count(*) FROM river_job WHERE finalized_at IS NULL").Scan(&n)
	return n, err
}

func (r riverTable) pid() int { return r.c.postgres.PID() }
