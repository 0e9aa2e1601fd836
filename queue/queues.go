package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// DeleteFromQueue removes the job with the payload raw from a queue. The error is ErrNotFound if
// the job is not in the queue. With capabilities it may be an *EffectsError: the job is removed,
// but effects of it have failed.
func (s *Store) DeleteFromQueue(ctx context.Context, name, raw string) error {
	n, err := s.removeFromList(ctx, s.ks.Queue(name), raw)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("queue %s: delete: %w", name, err)
	}
	return nil
}

func (s *Store) removeFromList(ctx context.Context, list, raw string) (int, error) {
	if s.effects != nil {
		return s.remove(ctx, s.db.Shared, list, EventDelete, []string{raw})
	}
	n, err := s.db.Shared.LRem(ctx, list, 1, raw).Result()
	return int(n), err
}

// ClearQueue removes all jobs of a queue, and its name from the set of queues. With capabilities it
// removes the jobs that are there when it begins, a page at a time, and the error may be an
// *EffectsError as for DeleteFromQueue. Parked jobs are removed too.
func (s *Store) ClearQueue(ctx context.Context, name string) (err error) {
	if err = s.Suspend(ctx, name, time.Minute); err == nil && s.effects != nil {
		err = s.removeQueue(ctx, name)
	} else if err == nil {
		err = s.unlinkQueue(ctx, name)
	}
	err = errors.Join(err, s.Suspend(context.WithoutCancel(ctx), name, 0))
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

// Pause makes workers take no more jobs of a queue. Fetches skip it at once; a doorbell on it comes
// down within a second. Jobs can still be pushed to it.
func (s *Store) Pause(ctx context.Context, name string) error {
	return s.db.Shared.SAdd(ctx, s.ks.Paused(), name).Err()
}

// Unpause makes workers take jobs of a queue again.
func (s *Store) Unpause(ctx context.Context, name string) error {
	return s.db.Shared.SRem(ctx, s.ks.Paused(), name).Err()
}
