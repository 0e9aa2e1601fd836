// Package activity reads what a server of Postgres does: who is connected, what runs, and how its
// tables are. It is for people and pages; no job needs it.
package activity

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

const (
	connectWithin = 5 * time.Second
	// queryWithin is how long each question may take, and lockWithin how long it may wait for a
	// lock: a migration may hold that of a table for long.
	queryWithin = 3 * time.Second
	lockWithin  = 300 * time.Millisecond
)

// Activity is what one server of Postgres does.
type Activity struct {
	Place    string  `json:"place"` // HOST:PORT/DATABASE
	Version  string  `json:"version"`
	Replica  bool    `json:"replica"` // it replays what another server does
	Uptime   float64 `json:"uptime_seconds"`
	Size     int64   `json:"database_bytes"`
	HitRate  float64 `json:"cache_hit_rate"` // share of the blocks that were in memory, 0 to 1
	Deadlock int64   `json:"deadlocks"`      // since the statistics began
	Limits
	Connections []Connections `json:"connections"` // the most first
	Running     []Running     `json:"running"`     // the oldest transaction first
	Tables      []Table       `json:"tables"`      // the largest first
	Problems    []string      `json:"problems"`    // what could not be read, and why
}

// Limits are the connections that the server allows.
type Limits struct {
	Used     int `json:"used"`
	Most     int `json:"most"`     // max_connections
	Reserved int `json:"reserved"` // of them, those that ordinary users do not get
}

// Connections are connections that are the same in all that is shown.
type Connections struct {
	User        string  `json:"user"`
	Application string  `json:"application"`
	Database    string  `json:"database"`
	State       string  `json:"state"` // active, idle, …; "" if the user may not see it
	Count       int     `json:"count"`
	Longest     float64 `json:"longest_seconds"` // in this state
}

// Running is a connection with a transaction that is open for a second or longer.
type Running struct {
	PID         int     `json:"pid"`
	User        string  `json:"user"`
	Application string  `json:"application"`
	State       string  `json:"state"`
	Wait        string  `json:"wait"` // for what it waits; "" if it works
	Seconds     float64 `json:"transaction_seconds"`
	BlockedBy   []int   `json:"blocked_by"` // the PIDs whose locks it waits for
	Query       string  `json:"query"`      // without the texts in it
}

// Table is a table with its indexes.
type Table struct {
	Name     string    `json:"name"`
	Size     int64     `json:"bytes"`
	Rows     int64     `json:"rows"` // an estimate
	Dead     int64     `json:"dead_rows"`
	Vacuumed time.Time `json:"vacuumed_at,omitzero"` // by a person or by autovacuum
}

// Read asks the server of an address. The error says that it cannot be reached; what the user may
// not see is in Problems. It opens one connection, and closes it.
func Read(ctx context.Context, address string) (*Activity, error) {
	config, err := database.ConnConfig(address)
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = connectWithin
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // which every pooler accepts
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	a := &Activity{Place: fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database),
		Connections: []Connections{}, Running: []Running{}, Tables: []Table{},
		Problems: []string{}}
	for _, part := range []struct {
		name string
		read func(context.Context, pgx.Tx) error
	}{{"server", a.readServer}, {"connections", a.readConnections}, {"queries", a.readRunning},
		{"tables", a.readTables}} {
		if err := inTransaction(ctx, conn, part.read); err != nil {
			a.Problems = append(a.Problems, fmt.Sprintf("%s: %v", part.name, err))
		}
	}
	return a, nil
}

// inTransaction asks in a transaction that changes nothing and ends in time. A pooler may give each
// transaction another connection.
func inTransaction(ctx context.Context, conn *pgx.Conn,
	read func(context.Context, pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d; "+
				"SET LOCAL lock_timeout = %d", queryWithin.Milliseconds(),
				lockWithin.Milliseconds()))
			if err != nil {
				return err
			}
			return read(ctx, tx)
		})
}

func (a *Activity) readServer(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `SELECT current_setting('server_version'), pg_is_in_recovery(),
		extract(epoch FROM now() - pg_postmaster_start_time())::float8,
		pg_database_size(current_database()),
		COALESCE((s.blks_hit::float8 / NULLIF(s.blks_hit + s.blks_read, 0))::float8, 0),
		s.deadlocks, current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int +
		COALESCE(current_setting('reserved_connections', true), '0')::int,
		(SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')
		FROM pg_stat_database s WHERE s.datname = current_database()`).Scan(&a.Version,
		&a.Replica, &a.Uptime, &a.Size, &a.HitRate, &a.Deadlock, &a.Most, &a.Reserved, &a.Used)
}

func (a *Activity) readConnections(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT COALESCE(usename, ''), COALESCE(application_name, ''),
		COALESCE(datname, ''), COALESCE(state, ''), count(*)::int,
		COALESCE(max(extract(epoch FROM now() - state_change)), 0)::float8
		FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
		GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT 50`)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Connections])
	a.Connections = append(a.Connections, list...)
	return err
}

func (a *Activity) readRunning(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT pid, COALESCE(usename, ''), COALESCE(application_name, ''),
		COALESCE(state, ''), COALESCE(wait_event_type || ' ' || wait_event, ''),
		extract(epoch FROM now() - xact_start)::float8,
		CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END,
		COALESCE(query, '')
		FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
		AND xact_start < now() - interval '1 second' ORDER BY xact_start LIMIT 50`)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Running])
	for i := range list {
		list[i].Query = masked(list[i].Query)
	}
	a.Running = append(a.Running, list...)
	return err
}

func (a *Activity) readTables(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT schemaname || '.' || relname,
		pg_total_relation_size(relid), n_live_tup, n_dead_tup,
		COALESCE(greatest(last_vacuum, last_autovacuum), 'epoch')
		FROM pg_stat_user_tables ORDER BY 2 DESC, 1 LIMIT 20`)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Table])
	for i := range list {
		if list[i].Vacuumed.Unix() == 0 { // never
			list[i].Vacuumed = time.Time{}
		}
	}
	a.Tables = append(a.Tables, list...)
	return err
}
