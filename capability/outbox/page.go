package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The most that one page holds.
const (
	pageRows  = 500
	pageBytes = 4 << 20 // of payloads, or one row
)

// unprepared lets Postgres plan a statement each time: a plan that was made for an empty table is
// bad for one with millions of rows. It also works behind every pooler.
const unprepared = pgx.QueryExecModeExec

// page is what one transaction has moved.
type page struct {
	rows int
	full bool // there may be more rows
	ours bool // no other process was moving rows
	// stuck is the error of one of several shards, which keeps some of the rows waiting. The next
	// page begins behind them.
	stuck  error
	behind bool // it began behind rows that wait
}

// page moves the first rows of the table: it locks them, pushes their jobs, deletes them, and
// commits. One process at a time does this, because the rows of a transaction would else be pushed
// in the order in which several processes get on. With wait the page waits for another process, for
// half a second at most; else it is empty then.
func (r *Relay) page(ctx context.Context, wait bool) (p page, err error) {
	var m moved
	after, next := r.after, int64(0)
	err = pgx.BeginTxFunc(ctx, r.Pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted,
		AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		if ours, err := lock(ctx, tx, wait); err != nil || !ours {
			return err
		}
		rows, full, err := r.read(ctx, tx)
		if err != nil {
			return err
		}
		p = page{rows: len(rows), full: full, ours: true, behind: after > 0}
		if m, err = r.push(ctx, rows); err != nil {
			return err
		}
		p.stuck = m.stuck
		if len(rows) > 0 {
			next = rows[len(rows)-1].id
		}
		return m.finish(ctx, tx)
	})
	r.after = 0
	if err != nil {
		return page{}, explain(err)
	}
	if p.full && (p.stuck != nil || after > 0) {
		r.after = next
	}
	r.committed(ctx, m)
	return p, nil
}

// committed does what can wait until the rows are gone. A failure costs Redis some memory.
func (r *Relay) committed(ctx context.Context, m moved) {
	r.relayed.Add(int64(len(m.ids)))
	r.aside.Add(int64(len(m.bad)))
	if len(m.bad) > 0 {
		r.Logger.Error("Rows of kyu_outbox cannot be pushed: they are kept aside (see "+
			"`workerctl outbox`)", "rows", len(m.bad), "first", m.bad[0], "err", m.reasons[0])
	}
	store, ok := r.Store.(interface {
		ShortenMarkers(ctx context.Context, jids []string, life time.Duration) error
	})
	if !ok {
		return
	}
	err := errors.Join(store.ShortenMarkers(ctx, m.markers, markerAfter),
		store.ShortenMarkers(ctx, m.idempotent, idempotentAfter))
	if err != nil {
		r.Logger.Debug("Markers of pushed jobs are kept for a day", "err", err)
	}
}

// lock makes this transaction the only one that moves rows, and sets what holds for its statements.
// If the process is suspended, or its connection hangs, Postgres ends the transaction. Sequential
// scans are off, because most of a large table may be empty pages.
func lock(ctx context.Context, tx pgx.Tx, wait bool) (ours bool, err error) {
	_, err = tx.Exec(ctx, `SELECT set_config('lock_timeout', '500ms', true),
		set_config('idle_in_transaction_session_timeout', '30s', true),
		set_config('enable_seqscan', 'off', true)`, unprepared)
	if err != nil {
		return false, err
	}
	if !wait {
		err = tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock("+lockKey+")",
			unprepared).Scan(&ours)
		return ours, err
	}
	_, err = tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")", unprepared)
	return err == nil, err
}

// lockKey is the key of the lock: the number of the table.
const lockKey = "'kyu_outbox'::regclass::oid::bigint"

// isLockTimeout reports whether another process has moved rows for longer than this one waited.
func isLockTimeout(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}

// read locks the first rows and returns them. The rows of one page have at most pageBytes; those
// that were read beyond are left to the next page, which then reads fewer.
func (r *Relay) read(ctx context.Context, tx pgx.Tx) (list []row, full bool, err error) {
	rows, err := tx.Query(ctx, `SELECT id, jid, queue, at, payload, idempotent, created_at
		FROM kyu_outbox WHERE error IS NULL AND id > $2 ORDER BY id LIMIT $1
		FOR UPDATE SKIP LOCKED`, unprepared, r.limit, r.after)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	bytes, cut := 0, false
	for !cut && rows.Next() {
		var w row
		if err := rows.Scan(&w.id, &w.jid, &w.queue, &w.at, &w.payload, &w.idempotent,
			&w.created); err != nil {
			return nil, false, err
		}
		bytes += len(w.payload)
		if cut = bytes > pageBytes && len(list) > 0; !cut {
			list = append(list, w)
		}
	}
	rows.Close()
	full = cut || len(list) == r.limit
	if r.limit = min(2*r.limit, pageRows); cut {
		r.limit = len(list)
	}
	return list, full, rows.Err()
}

// moved are the rows of a page whose jobs are in Redis, and those that hold no job.
type moved struct {
	ids        []int64  // to be deleted
	markers    []string // of their pushes
	idempotent []string // the markers of those that are pushed idempotently
	bad        []int64  // to be kept aside
	reasons    []string // for each of bad
	stuck      error    // of one of several shards; its rows wait
}

// finish deletes the rows that were pushed, and keeps the others aside.
func (m *moved) finish(ctx context.Context, tx pgx.Tx) error {
	if len(m.ids) > 0 {
		_, err := tx.Exec(ctx, "DELETE FROM kyu_outbox WHERE id = ANY($1::bigint[])", unprepared,
			m.ids)
		if err != nil {
			return err
		}
	}
	if len(m.bad) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE kyu_outbox SET error = bad.error
		FROM unnest($1::bigint[], $2::text[]) AS bad (id, error) WHERE kyu_outbox.id = bad.id`,
		unprepared, m.bad, m.reasons)
	return err
}

func (m *moved) keepAside(id int64, reason error) {
	m.bad = append(m.bad, id)
	m.reasons = append(m.reasons, fmt.Sprintf("%.500v", reason))
}

// row is a row of the table.
type row struct {
	id         int64
	jid        string
	queue      *string
	at         *time.Time
	payload    string
	idempotent bool
	created    time.Time
}
