package unique

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// pageCount is how many digests or jobs one call reads.
const pageCount = 500

// Locks reads and deletes the locks of a Redis, for people. It is safe for concurrent use.
type Locks struct {
	store *queue.Store
	rdb   *redis.Client
	ks    redisdb.Keyspace
}

// NewLocks returns the Locks of a Store. The caller closes the Store.
func NewLocks(s *queue.Store) *Locks { return &Locks{s, s.DB().Shared, s.Keys()} }

// Held is a lock that jobs hold.
type Held struct {
	Digest  string        `json:"digest"`
	Holders []Holder      `json:"holders"`
	Expires time.Duration `json:"-"` // the time that is left; 0: it does not expire
}

// Holder is a job that holds a lock.
type Holder struct {
	JID   string    `json:"jid"`
	Since time.Time `json:"since"` // zero if Redis has no time
}

// Page returns up to count locks whose digests contain match, from the position after on, and the
// position of the next page: 0 after the last. A lock that is taken or released meanwhile may be
// missing. The longest held are first.
func (l *Locks) Page(ctx context.Context, match string, after, count int) (page []Held, next int,
	err error) {
	for len(page) < count {
		digests, err := l.digests(ctx, after, after+pageCount-1)
		if err != nil {
			return nil, 0, fmt.Errorf("locks: %w", err)
		}
		for _, digest := range digests {
			after++
			if !strings.Contains(digest, match) {
				continue
			}
			h, err := l.read(ctx, digest)
			if err != nil {
				return nil, 0, fmt.Errorf("locks: %w", err)
			}
			if len(h.Holders) > 0 {
				page = append(page, h)
			}
			if len(page) == count {
				return page, after, nil
			}
		}
		if len(digests) < pageCount {
			return page, 0, nil
		}
	}
	return page, after, nil
}

// Size returns the number of locks. Some of them may just have been released.
func (l *Locks) Size(ctx context.Context) (int64, error) {
	pipe := l.rdb.Pipeline()
	held := pipe.ZCard(ctx, l.ks.Key(digestsKey))
	expiring := pipe.ZCard(ctx, l.ks.Key(expiringKey))
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("locks: %w", err)
	}
	return held.Val() + expiring.Val(), nil
}

// digests returns the digests at positions of both sets, the longest held first.
func (l *Locks) digests(ctx context.Context, first, last int) ([]string, error) {
	pipe := l.rdb.Pipeline()
	n := pipe.ZCard(ctx, l.ks.Key(digestsKey))
	list := pipe.ZRange(ctx, l.ks.Key(digestsKey), int64(first), int64(last))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	all, size := list.Val(), int(n.Val())
	if rest := last - first + 1 - len(all); rest > 0 {
		from := max(0, first-size)
		more, err := l.rdb.ZRange(ctx, l.ks.Key(expiringKey), int64(from),
			int64(from+rest-1)).Result()
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// read returns a lock. It has no holders if it was released.
func (l *Locks) read(ctx context.Context, digest string) (Held, error) {
	key := l.ks.Key(digest + ":LOCKED")
	pipe := l.rdb.Pipeline()
	fields, left := pipe.HGetAll(ctx, key), pipe.PTTL(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return Held{}, err
	}
	h := Held{Digest: digest, Expires: max(0, left.Val())}
	for jid, since := range fields.Val() {
		holder := Holder{JID: jid}
		if t, ok := envelope.ParseTime(since); ok {
			holder.Since = t
		}
		h.Holders = append(h.Holders, holder)
	}
	slices.SortFunc(h.Holders, func(a, b Holder) int { return a.Since.Compare(b.Since) })
	return h, nil
}

// Delete removes a lock, whichever jobs hold it, and reports whether it existed. A job that holds
// it runs nevertheless. A digest that no set of locks has is left alone: it could be the name of
// any other key, such as that of the retry set.
func (l *Locks) Delete(ctx context.Context, digest string) (bool, error) {
	known, err := l.known(ctx, digest)
	if err != nil || !known {
		return false, err
	}
	list := keys(digest)
	for i := range list {
		list[i] = l.ks.Key(list[i])
	}
	pipe := l.rdb.Pipeline() // of no transaction: its error would hide that of a command
	held := pipe.Unlink(ctx, list[1])
	pipe.Unlink(ctx, list[0], list[2], list[3], list[4], list[7])
	pipe.ZRem(ctx, list[5], digest)
	pipe.ZRem(ctx, list[6], digest)
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("lock %s: %w", digest, err)
	}
	return held.Val() > 0, nil
}

// known reports whether one of the sets of locks has a digest.
func (l *Locks) known(ctx context.Context, digest string) (bool, error) {
	for _, key := range []string{digestsKey, expiringKey} {
		err := l.rdb.ZScore(ctx, l.ks.Key(key), digest).Err()
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, redis.Nil) {
			return false, fmt.Errorf("lock %s: %w", digest, err)
		}
	}
	return false, nil
}

// Of returns the locks that a job's payload names and that are held: the one with which it waits,
// and the one with which it runs.
func (l *Locks) Of(ctx context.Context, j *queue.Job) (list []Held, err error) {
	h, ok := heldBy(j)
	if !ok {
		return nil, nil
	}
	for _, digest := range []string{h.digest, h.runtime()} {
		lock, err := l.read(ctx, digest)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", digest, err)
		}
		if len(lock.Holders) > 0 {
			list = append(list, lock)
		}
	}
	return list, nil
}
