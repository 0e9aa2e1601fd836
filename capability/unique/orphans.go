package unique

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// orphanAge is how long a lock must have been held before it can be an orphan: a Ruby client takes
// the lock first and pushes the job then.
const orphanAge = time.Minute

// Orphans returns the locks that have been held for longer than a minute, by jobs that are nowhere:
// not in a queue, not in a set, not in flight, and not run by a Ruby process. Such locks remain
// after a crash of a Ruby process, or where a job was deleted without its lock. Locks of the kind
// until_expired belong to jobs that are done, so they are left out.
//
// Orphans reads all jobs, twice, because a job may move behind the reader once. That takes about
// 10 s for a million jobs.
func (l *Locks) Orphans(ctx context.Context) ([]Held, error) {
	suspects, err := l.suspects(ctx)
	for range 2 {
		if err != nil || len(suspects) == 0 {
			return nil, err
		}
		err = inspect.New(l.store).Walk(ctx, func(p inspect.Place, raw string) bool {
			if j, err := envelope.ParseJob(raw); err == nil && p.Kind != inspect.InDead {
				delete(suspects, j.JID)
			}
			return len(suspects) > 0
		})
	}
	if err != nil {
		return nil, err
	}
	return l.heldOnlyBy(ctx, suspects)
}

// heldOnlyBy returns, each once, the locks all of whose holders are among the suspects. A lock that
// a living job holds too, because of its limit, is no orphan: its deletion would take that job's.
func (l *Locks) heldOnlyBy(ctx context.Context, suspects map[string][]string) ([]Held, error) {
	var list []Held
	seen := map[string]bool{}
	for _, digests := range suspects {
		for _, digest := range digests {
			if seen[digest] {
				continue
			}
			seen[digest] = true
			h, err := l.read(ctx, digest)
			if err != nil {
				return nil, fmt.Errorf("lock %s: %w", digest, err)
			}
			lives := func(holder Holder) bool { return suspects[holder.JID] == nil }
			if len(h.Holders) > 0 && !slices.ContainsFunc(h.Holders, lives) {
				list = append(list, h)
			}
		}
	}
	return list, nil
}

// suspects returns the JIDs that hold locks, except young ones, with the digests that they hold.
func (l *Locks) suspects(ctx context.Context) (map[string][]string, error) {
	byJID, before := map[string][]string{}, time.Now().Add(-orphanAge)
	n, err := l.rdb.ZCard(ctx, l.ks.Key(digestsKey)).Result()
	if err != nil {
		return nil, fmt.Errorf("locks: %w", err)
	}
	for after := 0; after < int(n); after += pageCount {
		digests, err := l.rdb.ZRange(ctx, l.ks.Key(digestsKey), int64(after),
			int64(min(int(n), after+pageCount)-1)).Result()
		if err != nil {
			return nil, fmt.Errorf("locks: %w", err)
		}
		for _, digest := range digests {
			h, err := l.read(ctx, digest)
			if redisdb.Rejected(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("lock %s: %w", digest, err)
			}
			for _, holder := range h.Holders {
				if holder.Since.Before(before) {
					byJID[holder.JID] = append(byJID[holder.JID], digest)
				}
			}
		}
	}
	return byJID, nil
}
