package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// iterationLife is how long the position of an iterable job is kept after it was last written.
const iterationLife = 30 * 24 * time.Hour

// Iteration is the position of an iterable job, as Sidekiq 7.3 and later store it (docs/wire.md
// 12.1). The zero Iteration is the position of a job that has not begun.
type Iteration struct {
	Executions int             `json:"executions"`         // number of runs, with the present one
	Cursor     json.RawMessage `json:"cursor"`             // of the next element; nil at the start
	Runtime    time.Duration   `json:"-"`                  // of all runs together
	Cancelled  time.Time       `json:"cancelled,omitzero"` // when, or zero if it was not
}

// Iteration reads the position of a job. found is false if none is stored: the job has not begun,
// has ended, or is not iterable. The cursor may be missing, because some versions of Sidekiq cancel
// without writing one.
func (s *Store) Iteration(ctx context.Context, jid string) (it Iteration, found bool, err error) {
	h, err := s.db.Shared.HGetAll(ctx, s.ks.Iteration(jid)).Result()
	if err != nil {
		return it, false, fmt.Errorf("iteration: %w", err)
	}
	it.Executions, _ = strconv.Atoi(h["ex"])
	if c := h["c"]; c != "" && c != "null" {
		it.Cursor = json.RawMessage(c)
	}
	seconds, _ := strconv.ParseFloat(h["rt"], 64)
	it.Runtime = time.Duration(seconds * float64(time.Second))
	it.Cancelled = cancelTime(h["cancelled"])
	return it, len(h) > 0, nil
}

func cancelTime(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// SaveIteration writes the position of a job. It returns when the job was cancelled, or the zero
// time.
func (s *Store) SaveIteration(ctx context.Context, jid string,
	it Iteration) (cancelled time.Time, err error) {
	cursor := string(it.Cursor)
	if cursor == "" {
		cursor = "null"
	}
	var told *redis.StringCmd
	_, err = s.db.Shared.TxPipelined(ctx, func(p redis.Pipeliner) error {
		key := s.ks.Iteration(jid)
		p.HSet(ctx, key, "ex", it.Executions, "c", cursor, "rt",
			string(envelope.AppendFloat(nil, it.Runtime.Seconds(), 64)))
		p.Expire(ctx, key, iterationLife)
		told = p.HGet(ctx, key, "cancelled")
		return nil
	})
	if err != nil && err != redis.Nil {
		return time.Time{}, fmt.Errorf("iteration: %w", err)
	}
	return cancelTime(told.Val()), nil
}

// EndIteration deletes the position of a job that is complete.
func (s *Store) EndIteration(ctx context.Context, jid string) error {
	if err := s.db.Shared.Unlink(ctx, s.ks.Iteration(jid)).Err(); err != nil {
		return fmt.Errorf("iteration: %w", err)
	}
	return nil
}

// CancelIteration asks an iterable job, Ruby's too, to stop. A running job notices it within five
// seconds, a waiting job when it starts. Then the job counts as complete. CancelIteration returns
// when the job was first cancelled. It also writes the fields that are missing, because every
// version of Sidekiq up to 8.1.7 fails on a position without a cursor (docs/wire.md 12.4).
func (s *Store) CancelIteration(ctx context.Context, jid string) (since time.Time, err error) {
	var told *redis.StringCmd
	_, err = s.db.Shared.TxPipelined(ctx, func(p redis.Pipeliner) error {
		key := s.ks.Iteration(jid)
		p.HSetNX(ctx, key, "cancelled", time.Now().Unix())
		p.HSetNX(ctx, key, "ex", 0)
		p.HSetNX(ctx, key, "c", "null")
		p.HSetNX(ctx, key, "rt", 0)
		p.Expire(ctx, key, iterationLife)
		told = p.HGet(ctx, key, "cancelled")
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("cancel: %w", err)
	}
	return cancelTime(told.Val()), nil
}
