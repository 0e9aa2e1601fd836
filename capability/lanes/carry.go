package lanes

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/queue"
)

// carryRules gives the shards to which jobs move the rules of the queues of the shard from, unless
// they have rules. Parked jobs are given back to the lists of their queues before they move.
func carryRules(ctx context.Context, from *queue.Store, to queue.MoveTargets) (said []string,
	err error) {
	names, err := Control{from}.Queues(ctx)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, name := range names {
		s, err := Control{from}.Status(ctx, name)
		if err != nil {
			continue // it was just forgotten
		}
		if s.Off() {
			said = append(said, fmt.Sprintf("the lanes of the queue %s are off here: that is not "+
				"carried over", name))
			continue
		}
		rule, err := ParseRule(s.Rule)
		if err != nil {
			said = append(said, fmt.Sprintf("the rule of the lanes of %s is not carried over: %v",
				name, err))
			continue
		}
		for _, shard := range to.Active {
			if err := carryRule(ctx, shard, name, rule, s.Origin); err != nil {
				problems = append(problems, fmt.Errorf("shard %s: %w", shard.Name, err))
			}
		}
	}
	return said, errors.Join(problems...)
}

func carryRule(ctx context.Context, to queue.Shard, name string, r Rule, origin string) error {
	if !to.Store.Connected() {
		return nil // it gets the rule in a later call
	}
	_, err := Control{to.Store}.Status(ctx, name)
	if !errors.Is(err, ErrNoRule) {
		return err
	}
	return Control{to.Store}.set(ctx, name, r, origin)
}
