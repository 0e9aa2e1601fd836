package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

const (
	// maxCounted is how many rows are counted.
	maxCounted = 100_000
	// maxBad is how many rows that are kept aside are listed.
	maxBad = 25
	// connectWithin and lookWithin are how long a look may take to connect, and to ask a question.
	connectWithin = 5 * time.Second
	lookWithin    = 3 * time.Second
)

// State is how the table is. Without a table all other fields are zero.
type State struct {
	Table   bool        `json:"table"`          // it exists
	Waiting int64       `json:"waiting"`        // rows whose jobs are not in Redis yet
	More    bool        `json:"more,omitempty"` // there are more than were counted
	Oldest  float64     `json:"oldest_seconds"` // the age of the first that waits
	Queues  []QueueRows `json:"queues"`         // those that wait, the most first
	Aside   int64       `json:"aside"`          // rows that hold no job, 100,000 at most
	Bad     []BadRow    `json:"bad"`            // the first of them

	Bytes        int64     `json:"bytes"`
	IndexBytes   int64     `json:"index_bytes"`
	Dead         int64     `json:"dead_rows"` // deleted, and not vacuumed yet
	Vacuumed     time.Time `json:"vacuumed_at,omitzero"`
	NoAutovacuum bool      `json:"autovacuum_off,omitempty"`

	Marks      int64 `json:"inbox_marks"` // an estimate
	InboxBytes int64 `json:"inbox_bytes"` // with its indexes
}

// QueueRows are the rows that wait for a queue.
type QueueRows struct {
	Queue string `json:"queue"` // "" if only the payload names it
	Rows  int64  `json:"rows"`
}

// BadRow is a row that is kept aside.
type BadRow struct {
	ID      int64     `json:"id"`
	JID     string    `json:"jid"`
	Queue   string    `json:"queue"`
	Error   string    `json:"error"`
	Created time.Time `json:"created_at"`
}

// connect opens a connection whose statements every pooler accepts.
func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	if address == "" {
		return nil, database.ErrNone
	}
	c, err := database.ConnConfig(address)
	if err != nil {
		return nil, err
	}
	c.ConnectTimeout = connectWithin
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, c)
}

// Look reads the state of the table at an address of Postgres. It opens one connection, and closes
// it. The error is database.ErrNone for the empty address.
func Look(ctx context.Context, address string) (*State, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s := &State{Queues: []QueueRows{}, Bad: []BadRow{}}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d",
				lookWithin.Milliseconds()))
			if err != nil {
				return err
			}
			return s.read(ctx, tx)
		})
	return s, err
}

func (s *State) read(ctx context.Context, tx pgx.Tx) error {
	var inbox bool
	err := tx.QueryRow(ctx, `SELECT to_regclass('kyu_outbox') IS NOT NULL,
		to_regclass('kyu_inbox') IS NOT NULL`).Scan(&s.Table, &inbox)
	if err != nil || !s.Table {
		return err
	}
	for _, read := range []func(context.Context, pgx.Tx) error{s.readWaiting, s.readBad,
		s.readTable} {
		if err := read(ctx, tx); err != nil {
			return err
		}
	}
	if !inbox {
		return nil
	}
	return tx.QueryRow(ctx, `SELECT greatest(reltuples, 0)::bigint, pg_total_relation_size(oid)
		FROM pg_class WHERE oid = 'kyu_inbox'::regclass`).Scan(&s.Marks, &s.InboxBytes)
}

func (s *State) readWaiting(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT COALESCE(queue, ''), count(*),
		extract(epoch FROM now() - min(created_at))::float8
		FROM (SELECT queue, created_at FROM kyu_outbox WHERE error IS NULL ORDER BY id LIMIT $1)
		AS first GROUP BY 1 ORDER BY 2 DESC, 1`, maxCounted)
	if err != nil {
		return err
	}
	var q QueueRows
	var oldest float64
	_, err = pgx.ForEachRow(rows, []any{&q.Queue, &q.Rows, &oldest}, func() error {
		s.Queues = append(s.Queues, q)
		s.Waiting += q.Rows
		s.Oldest = max(s.Oldest, oldest)
		return nil
	})
	s.More = s.Waiting == maxCounted
	return err
}

func (s *State) readBad(ctx context.Context, tx pgx.Tx) error {
	err := tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM kyu_outbox
		WHERE error IS NOT NULL LIMIT $1) AS bad`, maxCounted).Scan(&s.Aside)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT id, jid, COALESCE(queue, ''), error, created_at
		FROM kyu_outbox WHERE error IS NOT NULL ORDER BY id LIMIT $1`, maxBad)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[BadRow])
	s.Bad = append(s.Bad, list...)
	return err
}

func (s *State) readTable(ctx context.Context, tx pgx.Tx) error {
	var vacuumed *time.Time
	err := tx.QueryRow(ctx, `SELECT pg_table_size(c.oid), pg_indexes_size(c.oid),
		COALESCE(t.n_dead_tup, 0), greatest(t.last_vacuum, t.last_autovacuum),
		current_setting('autovacuum') = 'off' OR
		COALESCE(c.reloptions && '{autovacuum_enabled=false,autovacuum_enabled=off}', false)
		FROM pg_class c LEFT JOIN pg_stat_user_tables t ON t.relid = c.oid
		WHERE c.oid = 'kyu_outbox'::regclass`).Scan(&s.Bytes, &s.IndexBytes, &s.Dead, &vacuumed,
		&s.NoAutovacuum)
	if vacuumed != nil {
		s.Vacuumed = *vacuumed
	}
	return err
}

// Retry lets the rows with these ids, or without ids all that are kept aside, wait again, such as
// after they were corrected. It returns their number. The errors are those of Look, and ErrNoTable.
func Retry(ctx context.Context, address string, ids ...int64) (n int64, err error) {
	return change(ctx, address, "UPDATE kyu_outbox SET error = NULL", ids)
}

// Drop deletes the rows with these ids, if they are kept aside, and returns their number. The
// errors are those of Retry.
func Drop(ctx context.Context, address string, ids ...int64) (n int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	return change(ctx, address, "DELETE FROM kyu_outbox", ids)
}

func change(ctx context.Context, address, sql string, ids []int64) (n int64, err error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tag, err := conn.Exec(ctx, sql+" WHERE error IS NOT NULL AND (cardinality($1::bigint[]) = 0 "+
		"OR id = ANY ($1::bigint[]))", append([]int64{}, ids...))
	return tag.RowsAffected(), explain(err)
}
