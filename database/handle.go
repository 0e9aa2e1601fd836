package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/queue"
)

// Handle is a server to read from: a *Primary or a *Reader.
type Handle interface {
	// read runs fn on a connection. If a replica fails, fn runs again on the primary.
	read(ctx context.Context, fn func(*pgx.Conn) error) error
}

// Collect reads all rows of a query. A query without rows gives an empty slice.
func Collect[T any](ctx context.Context, h Handle, row pgx.RowToFunc[T], sql string,
	args ...any) (all []T, err error) {
	err = h.read(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, row)
		return err
	})
	return all, err
}

// One reads the first row of a query. The error is pgx.ErrNoRows if there is none. If a
// replica has no row, One asks the primary too.
func One[T any](ctx context.Context, h Handle, row pgx.RowToFunc[T], sql string,
	args ...any) (one T, err error) {
	err = h.read(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		one, err = pgx.CollectOneRow(rows, row)
		return err
	})
	return one, err
}

// Primary is the handle of the server that takes writes.
type Primary struct{ db *Database }

// Exec runs a statement.
func (p *Primary) Exec(ctx context.Context, sql string,
	args ...any) (tag pgconn.CommandTag, err error) {
	err = p.read(ctx, func(c *pgx.Conn) error {
		tag, err = c.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Tx runs fn in a transaction. It commits if fn returns nil, else it rolls back and
// returns fn's error.
func (p *Primary) Tx(ctx context.Context, fn func(pgx.Tx) error) error {
	defer unitOf(ctx).write() // again: a position that was read during the write is too old
	return p.db.primary.transact(ctx, fn, false)
}

// read runs fn, which may write.
func (p *Primary) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	defer unitOf(ctx).write()
	if p.db.primary.pooled {
		return p.db.primary.transact(ctx, func(tx pgx.Tx) error { return fn(tx.Conn()) }, true)
	}
	return p.db.primary.repeat(ctx, func() (again bool, err error) {
		err = p.db.primary.with(ctx, fn)
		return pgconn.SafeToRetry(err), err // no byte was sent
	})
}

// Reader is the handle of the server that was chosen for reads.
type Reader struct {
	db      *Database
	replica *replica // nil: the primary
	capped  bool     // the primary answers because all replicas are out: see standIn
}

// FromReplica reports whether the Reader reads from a replica.
func (r *Reader) FromReplica() bool { return r.replica != nil }

func (r *Reader) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	if r.replica == nil {
		if r.capped {
			return r.db.standIn(ctx, fn)
		}
		return r.db.primary.again(ctx, fn)
	}
	err := r.replica.with(ctx, fn)
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, pgx.ErrNoRows):
		r.db.rechecked.Add(1)
		return r.db.primary.again(ctx, fn)
	case isFault(err):
		r.replica.failed(err)
		return r.db.standIn(ctx, fn)
	}
	return err
}

// standIn reads from the primary because the replicas are out. Only a few such reads run
// at once, because the load of the replicas may be more than the primary can take.
func (d *Database) standIn(ctx context.Context, fn func(*pgx.Conn) error) error {
	limit := time.NewTimer(d.primary.wait)
	defer limit.Stop()
	select {
	case d.fallback <- struct{}{}:
		defer func() { <-d.fallback }()
		return d.primary.again(ctx, fn)
	case <-limit.C:
		return fmt.Errorf("%w: the replicas are out, and the primary answers %d reads at once "+
			"for them (REPLICA_FALLBACK)", ErrBusy, cap(d.fallback))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Primary returns the handle for writes, and for reads on which a write depends. From then
// on all reads of the same job stay on the primary (see Begin). The error is ErrNone
// without Postgres.
func (d *Database) Primary(ctx context.Context) (*Primary, error) {
	if d == nil {
		return nil, ErrNone
	}
	unitOf(ctx).write()
	return &Primary{d}, nil
}

// Fresh returns a handle for reads that must not be old: they go to the primary. Unlike
// Primary it does not keep later reads there. The error is ErrNone without Postgres.
func (d *Database) Fresh() (*Reader, error) {
	if d == nil {
		return nil, ErrNone
	}
	return &Reader{db: d}, nil
}

// Replica returns a handle for reads that a replica may answer. It chooses a replica that
// has replayed the position that the job in ctx carries (see Stamp) or, without one,
// everything that is committed now. It chooses the primary after a write of the same job,
// if the policy of the job's class is Always, and if no replica has replayed enough. The
// error is ErrNone without Postgres. With the policy Delayed it may be queue.Snooze, which
// the handler returns.
func (d *Database) Replica(ctx context.Context) (*Reader, error) {
	if d == nil {
		return nil, ErrNone
	}
	primary := &Reader{db: d}
	u := unitOf(ctx)
	wrote, position := u.state()
	if len(d.replicas) == 0 || wrote || (u != nil && u.policy == Always) {
		return primary, nil
	}
	if !d.inUse() {
		primary.capped = true
		return primary, nil
	}
	if position == 0 {
		var err error
		if position, err = d.position(ctx); err != nil {
			return nil, err
		}
		u.learn(position)
	}
	if r := d.caughtUp(ctx, position); r != nil {
		return &Reader{db: d, replica: r}, nil
	}
	if u != nil && u.policy == Delayed {
		return d.delayed(ctx, u, position)
	}
	d.behind.Add(1)
	primary.capped = !d.inUse()
	return primary, nil
}

const (
	briefly  = 100 * time.Millisecond // for which a thread waits for a replica
	lookWait = 10 * time.Millisecond  // between two checks of the replicas meanwhile
	putOff   = time.Second            // for which the job is snoozed
)

// delayed waits for a replica to replay p: first in the thread, then by a snooze of the
// job. It snoozes only if the job's position is younger than the snooze, so a job is
// snoozed once. A job whose position has no time, or a time in the future, is not snoozed.
func (d *Database) delayed(ctx context.Context, u *unit, p Position) (*Reader, error) {
	tick := time.NewTicker(lookWait)
	defer tick.Stop()
	for end := time.Now().Add(briefly); time.Now().Before(end); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if r := d.caughtUp(ctx, p); r != nil {
			return &Reader{db: d, replica: r}, nil
		}
	}
	if age := time.Since(u.stamped); !u.stamped.IsZero() && age >= 0 && age < putOff {
		return nil, queue.Snooze(putOff)
	}
	d.behind.Add(1)
	return &Reader{db: d}, nil
}
