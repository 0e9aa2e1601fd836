package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

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
