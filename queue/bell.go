package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Bell is a doorbell on one queue: a connection that sleeps in Redis until a job is pushed,
// by whomever. Redis wakes one sleeper in the whole fleet, and the job is in the owner's
// landing list before anybody knows of it. It is not delivered: it waits there until a Fetch
// adopts it. Not safe for concurrent use, but for Unhang.
type Bell struct {
	owner *Owner
	queue string
	conn  *redis.Conn
	id    int64
	hung  atomic.Int64 // the client id while it sleeps in Redis, else 0
}

// Bell makes a doorbell on a queue. It connects when it is first hung.
func (o *Owner) Bell(queue string) *Bell { return &Bell{owner: o, queue: queue} }

// Owner is the identity under which the bell hangs.
func (b *Bell) Owner() *Owner { return b.owner }

// Ring hangs the bell and sleeps until a job lands, for at most a few seconds. It returns
// false without an error if none came, or Unhang took it down; ErrFull if Redis does not let
// it hang, and ErrWrongType if the queue is no list. After any other error a job may have
// landed: the next Fetch must look.
func (b *Bell) Ring(ctx context.Context) (landed bool, err error) {
	if b.conn == nil {
		if err := b.connect(ctx); err != nil {
			return false, err
		}
	}
	b.hung.Store(b.id)
	k := b.owner.queue(b.queue)
	err = b.conn.Do(ctx, "BLMOVE", k.list, k.landing, "RIGHT", "LEFT", b.owner.store.bellSeconds()).Err()
	b.hung.Store(0)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, redis.Nil):
		return false, nil
	case redis.HasErrorPrefix(err, "OOM"):
		return false, ErrFull
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return false, fmt.Errorf("bell: %w: %s", ErrWrongType, k.list)
	case errors.Is(err, errLarge): // it landed; the fetch that looks at it does not read it
		b.Close()
		return true, nil
	default:
		b.Close()
		return false, fmt.Errorf("bell: %w", err)
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

// Unhang wakes the bell if it sleeps. A job that rang at the same moment has landed all the
// same. Safe to call while Ring runs, and more than once.
func (b *Bell) Unhang(ctx context.Context) error {
	if id := b.hung.Load(); id > 0 {
		return b.owner.store.own.ClientUnblock(ctx, id).Err()
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

// bellSeconds is how long a bell hangs. Where it cannot be taken down it must not hang long,
// for a stop waits for it.
func (s *Store) bellSeconds() float64 {
	if s.noUnblock {
		return 0.2
	}
	return bellTimeout.Seconds()
}
