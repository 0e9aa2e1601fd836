package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ShortenMarkers lets the markers of idempotent pushes end after life, unless they end earlier. A
// marker of a long Batch.Life can go when its push cannot be repeated any more. jids are those of
// the Pushed. An error costs memory in Redis, and nothing else.
func (s *Store) ShortenMarkers(ctx context.Context, jids []string, life time.Duration) error {
	if len(jids) == 0 {
		return nil
	}
	p := s.db.Shared.Pipeline()
	for _, jid := range jids {
		p.ExpireLT(ctx, s.ks.Pushed(jid), life)
	}
	if _, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("shorten markers: %w", err)
	}
	return nil
}

// pushedBefore returns which of these JIDs have the marker of an idempotent push.
func (s *Store) pushedBefore(ctx context.Context, jids []string) (map[string]bool, error) {
	p, replies := s.db.Shared.Pipeline(), make([]*redis.IntCmd, len(jids))
	for i, jid := range jids {
		replies[i] = p.Exists(ctx, s.ks.Pushed(jid))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, fmt.Errorf("markers of pushes: %w", err)
	}
	pushed := map[string]bool{}
	for i, jid := range jids {
		if replies[i].Val() > 0 {
			pushed[jid] = true
		}
	}
	return pushed, nil
}
