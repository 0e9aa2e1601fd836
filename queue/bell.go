package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Bell is a doorbell on one queue: a connection that sleeps in Redis until a
// job is pushed, by whomever, and then brings that job. Redis wakes one sleeper
// in the whole fleet, and the job is in the owner's landing list before anybody
// knows of it. Not safe for concurrent use, but for Unhang.
type Bell struct {
	owner *Owner
	queue string
	conn  *redis.Conn
	id    int64
	hung  atomic.Int64 // the client id while it sleeps in Redis, else 0
}

// Bell makes a doorbell on a queue. It connects when it is first hung.
func (o *Owner) Bell(queue string) *Bell { return &Bell{owner: o, queue: queue} }

// Queue is the queue that the bell hangs on.
func (b *Bell) Queue() string { return b.queue }

// Ring hangs the bell and sleeps until a job comes, for at most a few seconds.
// It returns nil without an error if none came, or Unhang took it down, and
// ErrFull if Redis does not let it hang. After any other error a job may have
// landed without being seen: Audit finds it.
func (b *Bell) Ring(ctx context.Context) (*Delivery, error) {
	if b.conn == nil {
		if err := b.connect(ctx); err != nil {
			return nil, err
		}
	}
	b.hung.Store(b.id)
	k := b.owner.queue(b.queue)
	raw, err := b.conn.Do(ctx, "BLMOVE", k.list, k.landing, "RIGHT", "LEFT", b.owner.store.bellSeconds()).Text()
	b.hung.Store(0)
	switch {
	case err == nil:
		return &Delivery{Raw: raw, Queue: b.queue, Owner: b.owner}, nil
	case errors.Is(err, redis.Nil):
		return nil, nil
	case redis.HasErrorPrefix(err, "OOM"):
		return nil, ErrFull
	case errors.Is(err, errLarge):
		b.Close()
		n, err := b.owner.store.buryLarge(ctx, k.landing)
		b.owner.buried.Add(int64(n))
		return nil, err
	default:
		b.Close()
		return nil, fmt.Errorf("bell: %w", err)
	}
}

func (b *Bell) connect(ctx context.Context) error {
	conn := b.owner.store.bells.Conn()
	if b.owner.store.noUnblock {
		b.conn, b.id = conn, -1
		return nil
	}
	id, err := conn.ClientID(ctx).Result()
	if err != nil {
		conn.Close()
		return fmt.Errorf("bell: %w", err)
	}
	b.conn, b.id = conn, id
	return nil
}

// Unhang wakes the bell if it sleeps. A job that rang at the same moment is
// still brought. Safe to call while Ring runs, and more than once.
func (b *Bell) Unhang(ctx context.Context) error {
	if id := b.hung.Load(); id > 0 {
		return b.owner.store.rdb.ClientUnblock(ctx, id).Err()
	}
	return nil
}

// Close gives the connection back.
func (b *Bell) Close() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// bellSeconds is how long a bell hangs. Where it cannot be taken down it must
// not hang long, for a stop waits for it.
func (s *Store) bellSeconds() float64 {
	if s.noUnblock {
		return 0.2
	}
	return bellTimeout.Seconds()
}
