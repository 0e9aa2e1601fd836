package lanes

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// suspend turns the lanes of a queue off for a time, and gives the parked jobs back to its list, so
// that a bulk operation finds them there. 0 turns them on again. A queue without lanes stays as it
// is.
func suspend(ctx context.Context, s *queue.Store, name string, d time.Duration) error {
	parked, err := s.DB().Run(ctx, suspendScript, callKeys(s.Keys(), name), d.Milliseconds()).Int()
	if err != nil {
		return fmt.Errorf("lanes of %s: %w", name, err)
	}
	for moved := 1; parked >= 0 && d > 0 && moved > 0; {
		if moved, err = (Control{s}).drainSome(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
