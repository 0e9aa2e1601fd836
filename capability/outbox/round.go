package outbox

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/capability/inbox"
)

// round looks at the table once, and moves all its rows if there are some.
func (r *Relay) round(ctx context.Context) (found bool, err error) {
	if !time.Now().Before(r.purgeAt) {
		r.purgeAt = time.Now().Add(purgeEvery)
		if _, err := inbox.Purge(ctx, r.Pool, inbox.Life); err != nil {
			return false, err
		}
	}
	err = r.Pool.QueryRow(ctx,
		"SELECT EXISTS (SELECT FROM kyu_outbox WHERE error IS NULL)").Scan(&found)
	if err != nil || !found {
		return false, explain(err)
	}
	return r.drain(ctx)
}

// drain moves pages until a page is not full, or another process moves rows.
func (r *Relay) drain(ctx context.Context) (found bool, err error) {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-r.turn }()
	for ctx.Err() == nil {
		p, err := r.page(ctx, false)
		if err != nil {
			return found, err
		}
		r.outage.ended()
		found = found || p.rows > 0
		if !p.full {
			break
		}
	}
	return found, nil
}

// backoff returns how long Run waits after an error.
func (r *Relay) backoff(err error) time.Duration {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	return r.outage.failed(err)
}

// Flush pushes the rows that are committed now, as Tx does after its commit: it is for a
// transaction that the caller has committed itself. Calls at the same time share their work. An
// error of the push is no error of Flush: Run logs it, and the rows wait.
func (r *Relay) Flush(ctx context.Context) {
	mine := r.commits.Add(1)
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-r.turn }()
	if r.covered >= mine || r.outage.on() {
		return
	}
	before := r.commits.Load()
	for ctx.Err() == nil {
		p, err := r.page(ctx, true)
		switch {
		case err != nil:
			r.outage.failed(err)
			return
		case !p.full:
			r.covered = before
			r.outage.ended()
			return
		}
	}
}
