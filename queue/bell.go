package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// Bell is a doorbell on one queue: a connection that waits in Redis (BLMOVE) until a job is pushed.
// Redis wakes one of all the fleet's bells and moves the job to the landing list of the bell's
// owner. Behind the BLMOVE, on the same connection, the bell sends a script that delivers the job
// if no other job waits. A job that the script does not deliver stays in the landing list until a
// Fetch adopts it. Only Unhang is safe for concurrent use.
type Bell struct {
	owner *Owner
	queue string
	conn  *redis.Conn
	ready bool         // it waits for a job of the queue's source, not for one that arrives
	id    int64        // of the connection; -1 if the server has no CLIENT ID
	hung  atomic.Int64 // the id of the connection while the bell hangs in Redis, else 0
}

// Bell returns a doorbell on a queue. It connects when it is first hung.
func (o *Owner) Bell(queue string) *Bell { return &Bell{owner: o, queue: queue} }

// ReadyBell returns a doorbell that rings when a job of the queue's source may run. It brings no
// job.
func (o *Owner) ReadyBell(queue string) *Bell { return &Bell{owner: o, queue: queue, ready: true} }

// Owner returns the owner whose landing list the bell fills.
func (b *Bell) Owner() *Owner { return b.owner }

// Rung is the result of a bell that came down.
type Rung struct {
	Landed bool      // a job has landed; if Job is nil, it waits for a Fetch
	Job    *Delivery // the job that landed, if it was delivered
}

// Ring hangs the bell and waits until a job lands, for at most a few seconds. The job is delivered
// under token if all the given queues, which the caller serves, are empty, and no job of those of
// them that have a source may run. With token 0, which is for queues with a source, no job is
// delivered. If no job comes, or if Unhang takes the bell down, both fields of the result are zero.
//
// The error is ErrFull if Redis is full and so refuses the bell, ErrWrongType if the queue is no
// list, and an error of Redis (redisdb.Answered) if it refuses the bell for another reason. After
// any other error a job may have landed, and may have been delivered.
//
// A bell on a node of a cluster that no longer has the slot is hung anew, at the node that has it.
func (b *Bell) Ring(ctx context.Context, token uint64, queues []string,
	sourced ...string) (rung Rung, err error) {
	for try := 0; ; try++ {
		rung, err = b.ring(ctx, token, queues, sourced)
		if !redisdb.Elsewhere(err) {
			return rung, err
		}
		b.Close() // its connection leads to the wrong node
		if try == 2 || !redisdb.Moved(err) {
			return rung, err
		}
	}
}

func (b *Bell) ring(ctx context.Context, token uint64, queues,
	sourced []string) (rung Rung, err error) {
	if b.conn == nil {
		if err := b.connect(ctx); err != nil {
			return rung, err
		}
	}
	o, k := b.owner, b.owner.queue(b.queue)
	if token == 0 {
		return b.ringSource(ctx, k)
	}
	pipe := b.conn.Pipeline()
	move := pipe.Do(ctx, "BLMOVE", k.list, k.landing, "RIGHT", "LEFT", o.store.bellSeconds())
	keys := []string{o.store.ks.Leases(), o.store.ks.Paused(), k.landing, k.inflight}
	for _, name := range queues {
		keys = append(keys, o.queue(name).list)
	}
	keys = append(keys, o.store.waits(sourced)...)
	answer := o.store.db.Queue(ctx, pipe, answerScript, keys, o.Identity, token, b.queue,
		o.store.maxTaken)
	b.hung.Store(b.id)
	pipe.Exec(ctx)
	b.hung.Store(0)
	raw, err := answer.Text()
	switch {
	case err == nil:
		rung.Job = &Delivery{Raw: raw, Queue: b.queue, Owner: o, Token: token}
	// after an error of Redis, such as NOSCRIPT, the script did nothing
	case !errors.Is(err, redis.Nil) && !redisdb.Answered(err):
		b.Close()
		return rung, fmt.Errorf("bell: %w", err)
	case redis.HasErrorPrefix(err, "NOSCRIPT"): // of a server that took the place of another
		o.store.db.Load(ctx, answerScript)
	}
	rung.Landed, err = landed(move.Err(), k)
	return rung, err
}

// Land is Ring for a job that is not delivered: it stays in the landing list until a Fetch moves it
// back. It is for a worker that must look at other shards before the job may start.
func (b *Bell) Land(ctx context.Context) (rung Rung, err error) {
	if b.conn == nil {
		if err := b.connect(ctx); err != nil {
			return rung, err
		}
	}
	k := b.owner.queue(b.queue)
	b.hung.Store(b.id)
	move := b.conn.Do(ctx, "BLMOVE", k.list, k.landing, "RIGHT", "LEFT",
		b.owner.store.bellSeconds())
	b.hung.Store(0)
	return b.waited(move, k)
}

// waited returns the result of a bell that only waits, without a script behind it.
func (b *Bell) waited(wait *redis.Cmd, k *ownerKeys) (rung Rung, err error) {
	if err := wait.Err(); err != nil && !errors.Is(err, redis.Nil) && !redisdb.Answered(err) {
		b.Close()
		return rung, fmt.Errorf("bell: %w", err)
	}
	rung.Landed, err = landed(wait.Err(), k)
	return rung, err
}

// landed reports whether a doorbell whose command ended with err has rung.
func landed(err error, k *ownerKeys) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, redis.Nil):
		return false, nil
	case redis.HasErrorPrefix(err, "OOM"):
		return false, ErrFull
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return false, fmt.Errorf("bell: %w: %s", ErrWrongType, k.list)
	default:
		return false, fmt.Errorf("bell: %w", err)
	}
}

// ringSource is Ring for a queue with a source, whose jobs no doorbell delivers: their order among
// those of other processes is the source's.
func (b *Bell) ringSource(ctx context.Context, k *ownerKeys) (rung Rung, err error) {
	s := b.owner.store
	arrived, ready := s.source().Source.Bells(b.queue)
	seconds := s.bellSeconds()
	var wait *redis.Cmd
	b.hung.Store(b.id)
	if b.ready {
		wait = b.conn.Do(ctx, "BLPOP", s.ks.Key(ready), seconds)
	} else {
		wait = b.conn.Do(ctx, "BLMOVE", k.list, s.ks.Key(arrived), "RIGHT", "LEFT", seconds)
	}
	b.hung.Store(0)
	return b.waited(wait, k)
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

// Unhang takes the bell down if it hangs. A job that was pushed at the same moment may have landed.
// Unhang may be called while Ring runs, and more than once.
func (b *Bell) Unhang(ctx context.Context) error {
	if id := b.hung.Load(); id > 0 {
		return b.owner.store.db.Own.ClientUnblock(ctx, id).Err()
	}
	return nil
}

// Close closes the connection.
func (b *Bell) Close() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// bellSeconds returns how many seconds a bell hangs. A server without CLIENT UNBLOCK gets a short
// time, because a worker that stops must wait for the bell.
func (s *Store) bellSeconds() float64 {
	if s.db.NoUnblock {
		return 0.2
	}
	return redisdb.BellTimeout.Seconds()
}
