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

// Handle is what Collect and One read from: a *Primary or a *Reader.
type Handle interface {
	// read runs fn on a connection. fn may run again, on another server.
	read(ctx context.Context, fn func(*pgx.Conn) error) error
}

// Collect reads all rows of a query. No rows are an empty slice, and no error.
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

// One reads the first row of a query. The error is pgx.ErrNoRows if there is none;
// a replica that says so is not believed before the primary has said it too.
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

// Primary is the server that is written to.
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

// Tx runs fn in a transaction, which is committed if fn returns nil.
func (p *Primary) Tx(ctx context.Context, fn func(pgx.Tx) error) error {
	return p.read(ctx, func(c *pgx.Conn) error { return pgx.BeginFunc(ctx, c, fn) })
}

func (p *Primary) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	err := p.db.primary.with(ctx, fn)
	unitOf(ctx).write() // a position that was taken while it wrote is too old
	return err
}

// Reader reads from the server that was chosen for it.
type Reader struct {
	db      *Database
	replica *replica // nil: the primary
	capped  bool     // the primary stands in for replicas that are out
}

// FromReplica reports whether the Reader reads from a replica.
func (r *Reader) FromReplica() bool { return r.replica != nil }

func (r *Reader) read(ctx context.Context, fn func(*pgx.Conn) error) error {
	if r.replica == nil {
		if r.capped {
			return r.db.standIn(ctx, fn)
		}
		return r.db.primary.with(ctx, fn)
	}
	err := r.replica.with(ctx, fn)
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, pgx.ErrNoRows):
		r.db.rechecked.Add(1)
		return r.db.primary.with(ctx, fn)
	case isFault(err):
		r.replica.failed(err)
		return r.db.standIn(ctx, fn)
	}
	return err
}

// standIn lets the primary answer for replicas that are out: a few at a time, for
// the load that the replicas carried may be more than it can take.
func (d *Database) standIn(ctx context.Context, fn func(*pgx.Conn) error) error {
	limit := time.NewTimer(d.primary.wait)
	defer limit.Stop()
	select {
	case d.fallback <- struct{}{}:
		defer func() { <-d.fallback }()
		return d.primary.with(ctx, fn)
	case <-limit.C:
		return fmt.Errorf("%w: the replicas are out, and the primary answers %d reads at once "+
			"for them (REPLICA_FALLBACK)", ErrBusy, cap(d.fallback))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Primary is the handle for writing, and for what is read to be written. From then
// on the reads of the unit of work (see Begin) stay on the primary.
func (d *Database) Primary(ctx context.Context) (*Primary, error) {
	if d == nil {
		return nil, ErrNone
	}
	unitOf(ctx).write()
	return &Primary{d}, nil
}

// Fresh is the handle for reads that must not be old, whatever the replicas say.
// Unlike Primary it does not keep later reads from them.
func (d *Database) Fresh() (*Reader, error) {
	if d == nil {
		return nil, ErrNone
	}
	return &Reader{db: d}, nil
}

// Replica is the handle for reads that may be answered by a replica: by one that
// has replayed what the job in ctx needs, or, for a job that does not say, what is
// committed now. It is the primary after a write in the same unit of work, if the
// class's policy is Always, and if no replica is that far. By the policy Delayed the
// error may be one that puts the job off for a second (queue.Snooze), once.
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
	briefly  = 100 * time.Millisecond // what a thread waits for a replica
	lookWait = 10 * time.Millisecond
	putOff   = time.Second
)

// delayed waits for a replica: in place for a moment, then by putting the job off,
// then no more. That it was put off is told by the age of the job's position: of
// one without, or from a clock ahead of ours, it is not tried.
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
