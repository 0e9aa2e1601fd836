package queue

import (
	"context"
	"fmt"
	"time"
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
