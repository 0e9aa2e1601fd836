package queue

import (
	"context"
	"fmt"
	"slices"
)

// forgetPage is the most markers that one command removes.
const forgetPage = 1000

// ForgetPushed removes the markers of idempotent pushes. It is for pushes that are confirmed, and
// that nobody will repeat: their JIDs need not be remembered any longer.
func (s *Store) ForgetPushed(ctx context.Context, jids []string) error {
	for page := range slices.Chunk(jids, forgetPage) {
		keys := make([]string, len(page))
		for i, jid := range page {
			keys[i] = s.ks.Pushed(jid)
		}
		if err := s.db.Shared.Unlink(ctx, keys...).Err(); err != nil {
			return fmt.Errorf("forget the markers of pushes: %w", err)
		}
	}
	return nil
}
