package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// Bell is a doorbell on one queue: a connection that sleeps in Redis until a job is pushed,
// by whomever. Redis wakes one sleeper in the whole fleet, and the job is in the owner's
// landing list before anybody knows of it. The bell carries a call that delivers it if no
// other job waits, and that Redis makes as soon as the bell comes down; what that leaves waits
// in the landing list until a Fetch adopts it. Not safe for concurrent use, but for Unhang.
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

// Rung is how a bell came down.
type Rung struct {
	Landed bool      // a job has landed; if there is no Job, it waits for a Fetch
	Job    *Delivery // what landed, delivered
}

// Ring hangs the bell and sleeps until a job lands, for at most a few seconds. A job that
// lands while all of queues are empty, which the caller serves, is delivered under the token.
// If none comes, or Unhang takes the bell down, both fields of the result are zero.
//
// The error is ErrFull if Redis does not let the bell hang because it is full, ErrWrongType if the
// queue is no list, and the answer of Redis (redisdb.Answered) if it refuses for another reason.
// After any other error a job may have landed, and may have been delivered.
func (b *Bell) Ring(ctx context.Context, token uint64, queues []string) (rung Rung, err error) {
	if b.conn == nil {
		if err := b.connect(ctx); err != nil {
			return rung, err
		}
	}
	o, k := b.owner, b.owner.queue(b.queue)
	pipe := b.conn.Pipeline()
	move := pipe.Do(ctx, "BLMOVE", k.list, k.landing, "RIGHT", "LEFT", o.store.bellSeconds())
	keys := []string{o.store.ks.Leases(), o.store.ks.Paused(), k.landing, k.inflight}
	for _, name := range queues {
		keys = append(keys, o.queue(name).list)
	}
	answer := o.store.db.Queue(ctx, pipe, answerScript, keys, o.Identity, token, b.queue,
		o.store.maxTaken)
	b.hung.Store(b.id)
	pipe.Exec(ctx)
	b.hung.Store(0)
	raw, err := answer.Text()
	switch {
	case err == nil:
		rung.Job = &Delivery{Raw: raw, Queue: b.queue, Owner: o, Token: token}
	// a script that Redis has forgotten did nothing
	case !errors.Is(err, redis.Nil) && !redisdb.Answered(err):
		b.Close()
		return rung, fmt.Errorf("bell: %w", err)
	}
	switch err = move.Err(); {
	case err == nil:
		rung.Landed = true
	case errors.Is(err, redis.Nil):
		err = nil
	case redis.HasErrorPrefix(err, "OOM"):
		err = ErrFull
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		err = fmt.Errorf("bell: %w: %s", ErrWrongType, k.list)
	default:
		err = fmt.Errorf("bell: %w", err)
	}
	return rung, err
}

func (b *Bell) connect(ctx context.Context) error {
	conn := b.owner.store.db.Bells.Conn()
	if b.owner.store.db.NoUnblock {
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
		return b.owner.store.db.Own.ClientUnblock(ctx, id).Err()
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
	if s.db.NoUnblock {
		return 0.2
	}
	return redisdb.BellTimeout.Seconds()
}
