package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/queue"
)

// lists are Sidekiq's lists, which Kyu shares.
type lists struct{}

func (lists) fill(ctx context.Context, s *site, n int, l load) error {
	s.raw.FlushAll(ctx)
	class, args := "Test::NoOp", make([][]any, n)
	text := strings.Repeat("x", l.bytes)
	for i := range args {
		args[i] = []any{i, text}
		if l.ms > 0 {
			class, args[i] = "Test::Wait", []any{l.ms}
		}
		if l.goTimer {
			class = "Test::Sleep"
		}
	}
	_, err := queue.NewClient(s.store).PushBulk(ctx, class, args, queue.Options{})
	return err
}

func (lists) begun(ctx context.Context, s *site, n int) (bool, error) {
	left, err := s.raw.LLen(ctx, "queue:default").Result()
	return left < int64(n), err
}

// left counts jobs that wait, or are in a Kyu worker's hands. What a Sidekiq worker
// has in its hands nobody can see.
func (lists) left(ctx context.Context, s *site) (int64, error) {
	n, err := s.raw.LLen(ctx, "queue:default").Result()
	if n > 0 || err != nil {
		return n, err
	}
	for _, key := range s.raw.Keys(ctx, "kyu:{queue:default}:*").Val() {
		if strings.Contains(key, ":inflight:") {
			n += s.raw.HLen(ctx, key).Val()
		}
	}
	return n, nil
}

func (lists) pid(s *site) int { return s.server.Process.Pid }

// asynq is Asynq's keys.
type asynq struct{ program string }

func (a asynq) fill(ctx context.Context, s *site, n int, l load) error {
	s.raw.FlushAll(ctx)
	_, err := s.peer(ctx, a.program, "asynq", "fill", n, l.bytes, l.ms, l.goTimer)
	return err
}

func (asynq) begun(ctx context.Context, s *site, n int) (bool, error) {
	left, err := s.raw.LLen(ctx, "asynq:{default}:pending").Result()
	return left < int64(n), err
}

func (asynq) left(ctx context.Context, s *site) (n int64, err error) {
	for _, key := range []string{"asynq:{default}:pending", "asynq:{default}:active"} {
		k, err := s.raw.LLen(ctx, key).Result()
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

func (asynq) pid(s *site) int { return s.server.Process.Pid }

// river is River's table.
type river struct{ program string }

func (r river) fill(ctx context.Context, s *site, n int, l load) error {
	if _, err := s.peer(ctx, r.program, "river", "setup"); err != nil {
		return err
	}
	if _, err := s.pg.Exec(ctx, "TRUNCATE river_job"); err != nil {
		return err
	}
	if _, err := s.peer(ctx, r.program, "river", "fill", n, l.bytes, l.ms, l.goTimer); err != nil {
		return err
	}
	_, err := s.pg.Exec(ctx, "VACUUM ANALYZE river_job")
	return err
}

func (river) begun(ctx context.Context, s *site, _ int) (begun bool, err error) {
	err = s.pg.QueryRow(ctx,
		"SELECT EXISTS (SELECT FROM river_job WHERE state <> 'available')").Scan(&begun)
	return begun, err
}

func (river) left(ctx context.Context, s *site) (n int64, err error) {
	err = s.pg.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE finalized_at IS NULL").Scan(&n)
	return n, err
}

func (river) pid(s *site) int { return s.postgres.PID() }

// peer runs the program of the peers, and gives the number that it prints.
func (s *site) peer(ctx context.Context, program string, args ...any) (float64, error) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprint(a)
	}
	cmd := exec.CommandContext(ctx, program, words...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.url)
	if s.postgres != nil {
		cmd.Env = append(cmd.Env, "DATABASE_URL="+s.postgres.URL)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", program, strings.Join(words, " "), err)
	}
	v, _ := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return v, nil
}

// program is the program of a peer's system.
func program(of system) (string, bool) {
	switch p := of.(type) {
	case asynq:
		return p.program, true
	case river:
		return p.program, true
	}
	return "", false
}
