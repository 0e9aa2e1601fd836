package unique

import (
	"context"
	"fmt"
	"time"

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
		err = l.walk(ctx, func(raw string) {
			if j, err := envelope.ParseJob(raw); err == nil {
				delete(suspects, j.JID)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	var list []Held
	for jid, digests := range suspects {
		for _, digest := range digests {
			h, err := l.read(ctx, digest)
			if err != nil {
				return nil, err
			}
			for _, holder := range h.Holders {
				if holder.JID == jid {
					list = append(list, h)
				}
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

// walk calls fn with the payload of each job, in the order in which jobs move: the sets from which
// jobs go to queues, the queues, the landing lists, the jobs in flight.
func (l *Locks) walk(ctx context.Context, fn func(raw string)) error {
	in := inspect.New(l.store)
	held, err := in.HeldClasses(ctx)
	if err != nil {
		return err
	}
	sets := []string{l.store.ScheduleSet().Key(), l.store.RetrySet().Key()}
	for _, class := range held {
		sets = append(sets, l.store.HoldSet(class.Class).Key())
	}
	for _, key := range sets {
		if err := l.walkSet(ctx, key, fn); err != nil {
			return err
		}
	}
	lists, err := l.rdb.SMembers(ctx, l.ks.Queues()).Result()
	if err != nil {
		return fmt.Errorf("queues: %w", err)
	}
	for i := range lists {
		lists[i] = l.ks.Queue(lists[i])
	}
	landing, err := l.scan(ctx, l.ks.Landing("*", "*"))
	if err != nil {
		return err
	}
	for _, key := range append(lists, landing...) {
		if err := l.walkList(ctx, key, fn); err != nil {
			return err
		}
	}
	return l.walkRunning(ctx, in, fn)
}

// walkRunning calls fn with the jobs in flight, and those that Ruby's processes run.
func (l *Locks) walkRunning(ctx context.Context, in *inspect.Inspector, fn func(string)) error {
	flights, err := l.scan(ctx, l.ks.Inflight("*", "*"))
	if err != nil {
		return err
	}
	for _, key := range flights {
		raws, err := l.rdb.HVals(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for _, raw := range raws {
			fn(raw)
		}
	}
	work, err := in.WorkInProgress(ctx)
	for _, w := range work {
		fn(w.Payload)
	}
	return err
}

// scan returns the keys that match a pattern.
func (l *Locks) scan(ctx context.Context, pattern string) (list []string, err error) {
	for cursor := uint64(0); ; {
		page, next, err := l.rdb.Scan(ctx, cursor, pattern, pageCount).Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		list = append(list, page...)
		if cursor = next; cursor == 0 {
			return list, nil
		}
	}
}

// walkSet calls fn with the members of a sorted set.
func (l *Locks) walkSet(ctx context.Context, key string, fn func(raw string)) error {
	for cursor := uint64(0); ; {
		flat, next, err := l.rdb.ZScan(ctx, key, cursor, "", pageCount).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for i := 0; i < len(flat); i += 2 {
			fn(flat[i])
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// walkList calls fn with the elements of a list, from the end to which jobs are pushed: a push then
// makes the next page repeat a job, and makes it miss none.
func (l *Locks) walkList(ctx context.Context, key string, fn func(raw string)) error {
	for at := int64(0); ; at += pageCount {
		page, err := l.rdb.LRange(ctx, key, at, at+pageCount-1).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for _, raw := range page {
			fn(raw)
		}
		if len(page) < pageCount {
			return nil
		}
	}
}
