package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/inbox"
)

// round looks at the table once, and moves all its rows if there are some.
func (r *Relay) round(ctx context.Context) (found bool, err error) {
	if found, err = r.look(ctx); err != nil || !found {
		return false, err
	}
	return r.drain(ctx)
}

// look purges the inbox if that is due, and reports whether a row waits.
func (r *Relay) look(ctx context.Context) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageLimit)
	defer cancel()
	if !time.Now().Before(r.purgeAt) {
		r.purgeAt = time.Now().Add(purgeEvery)
		if _, err := inbox.Purge(ctx, r.Pool, inbox.Life); err != nil {
			return false, err
		}
	}
	// By the order of ids, so that Postgres reads the index and not a table of empty pages.
	var id int64
	err = r.Pool.QueryRow(ctx, "SELECT id FROM kyu_outbox WHERE error IS NULL ORDER BY id LIMIT 1",
		unprepared).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, explain(err)
}

// drain moves pages until one is not full, or another process moves rows. The error may be that of
// one of several shards; then the rows of the others are moved.
func (r *Relay) drain(ctx context.Context) (found bool, err error) {
	var stuck error
	for ctx.Err() == nil {
		p, err := r.wholePage(ctx)
		if err != nil {
			return found, err
		}
		found = found || p.rows > 0
		if p.stuck != nil {
			stuck = p.stuck
		}
		if !p.full {
			break
		}
	}
	return found, stuck
}

// wholePage moves a page that may go on for a while after the end of ctx: the rows of a page that
// is interrupted are pushed again.
func (r *Relay) wholePage(ctx context.Context) (page, error) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopLimit, cancel) })
	defer stop()
	return r.step(within, false, func() bool { return true })
}

// errBusy means that another goroutine moved rows for as long as this one could wait.
var errBusy = errors.New("another goroutine moves rows")

// step moves a page when no other goroutine does and needed says so.
func (r *Relay) step(ctx context.Context, wait bool, needed func() bool) (p page, err error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return p, errBusy
	}
	defer func() { <-r.turn }()
	if !needed() {
		return p, nil
	}
	before := r.commits.Load()
	if p, err = r.page(ctx, wait); err != nil {
		return p, err
	}
	if p.ours && p.stuck == nil && !p.behind {
		r.outage.ended()
	}
	if p.ours && !p.full && p.stuck == nil && !p.behind {
		r.covered = before
	}
	return p, nil
}

// Flush pushes the rows that are committed now, as Tx does after its commit: it is for a
// transaction that the caller has committed itself. Calls at the same time share their work. An
// error of the push is no error of Flush: it is logged, and the rows wait.
func (r *Relay) Flush(ctx context.Context) {
	mine := r.commits.Add(1)
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	for full := true; full; {
		p, err := r.step(ctx, true, func() bool { return r.covered < mine && !r.outage.on() })
		if err != nil && !errors.Is(err, errBusy) && !errors.Is(err, context.Canceled) &&
			!isLockTimeout(err) {
			r.outage.failed(err, r.pauses)
		}
		if p.stuck != nil {
			r.outage.failed(p.stuck, r.pauses)
		}
		full = err == nil && p.full && p.stuck == nil
	}
}
