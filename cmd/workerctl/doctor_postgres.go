package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
)

// databaseConfig reads how jobs find Postgres.
func (e *examination) databaseConfig() (database.Config, error) {
	c := database.ConfigFromEnv(e.env)
	return c, e.env.Err()
}

// postgres looks at the server, what stands before it, and its replicas.
func (e *examination) postgres(ctx context.Context, c database.Config) {
	if c.URL == "" {
		e.bad(warning, "postgres", "set DATABASE_URL, or DB_HOST and its like, for doctor as for "+
			"the workers", "none is configured: connections are not looked at")
		return
	}
	pooler, err := database.FindPooler(ctx, c.URL)
	if err != nil {
		e.bad(wrong, "postgres", "start it, or set DATABASE_URL to where it is", "%v", err)
		return
	}
	direct := c.URL
	if v, _ := e.env.Get("DIRECT_DATABASE_URL"); v != "" {
		direct = v
	}
	sum := 0
	var parts []string
	for _, p := range e.pools {
		sum += p.connections
		parts = append(parts, strconv.Itoa(p.connections))
	}
	total := fmt.Sprintf("%d connections (%s)", sum, strings.Join(parts, " + "))
	if sum == 0 {
		total = "no connections"
	}
	if pooler == database.Direct {
		e.limits(ctx, direct, total, sum)
	} else {
		e.pooler(ctx, c, pooler, direct, total, sum)
	}
	e.replicas(ctx, c, direct)
}

// connect opens a connection that prepares nothing, for a few questions.
func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	x, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address " + env.MaskURL(address) + " is not understood")
	}
	x.ConnectTimeout = 5 * time.Second
	x.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, x)
}

// room is how many connections the server has for ordinary users.
func room(ctx context.Context, conn *pgx.Conn) (n, reserved int, err error) {
	err = conn.QueryRow(ctx, `SELECT current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int +
		COALESCE(current_setting('reserved_connections', true), '0')::int`).Scan(&n, &reserved)
	return n, reserved, err
}

// limits compares the sum of all pools with what the server allows.
func (e *examination) limits(ctx context.Context, address, total string, sum int) {
	conn, err := connect(ctx, address)
	if err != nil {
		e.bad(wrong, "postgres", "check the address", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		e.bad(warning, "postgres", "", "it does not say its limits: %v", err)
		return
	}
	available := all - reserved
	text := fmt.Sprintf("all pools may open %s; max_connections %d less %d reserved leaves %d",
		total, all, reserved, available)
	switch {
	case sum > available:
		e.bad(wrong, "postgres", fmt.Sprintf("fewer threads or processes, max_connections of %d, "+
			"or PgBouncer in transaction mode (workerctl plan)", sum*10/9+reserved),
			"%s: they cannot fit", text)
	case sum*10 > available*9:
		e.bad(warning, "postgres",
			"leave a tenth for migrations and for queries by hand", "%s", text)
	default:
		e.good("postgres", "%s", text)
	}
	if len(e.pools) > 0 && e.web == "" && e.streaming == "" && e.number("WEB_CONCURRENCY") == 0 {
		e.bad(warning, "postgres", "--web 2x5 --streaming 1x10, or --env-file",
			"web and streaming processes are not counted: nobody said how many there are")
	}
}

// pooler looks at PgBouncer, by its admin console if that can be reached.
func (e *examination) pooler(ctx context.Context, c database.Config, found database.Pooler, direct,
	total string, sum int) {
	if c.Prepared == database.PreparedOn {
		e.bad(warning, "pgbouncer", "leave PREPARED_STATEMENTS out, or set it to false, unless "+
			"it is PgBouncer 1.21 or newer with max_prepared_statements",
			"PREPARED_STATEMENTS=true behind a pooler")
	}
	admin := e.pgbouncer
	if admin == "" {
		if u, err := url.Parse(c.URL); err == nil {
			u.Path = "/pgbouncer"
			admin = u.String()
		}
	}
	settings, err := console(ctx, admin)
	if err != nil {
		e.bad(warning, "pgbouncer", "--pgbouncer postgres://ADMIN@HOST:6432/pgbouncer, with a "+
			"user of its admin_users or stats_users", "its admin console cannot be reached, so "+
			"its sizes are not known: %v", err)
		if found == database.SessionPooler {
			e.bad(warning, "pgbouncer", "pool_mode = transaction, then RELOAD",
				"it looks like session mode: a client keeps its connection, and nothing is pooled")
		}
		return
	}
	e.sizes(settings, total, sum)
	if address := direct; address != c.URL {
		e.backend(ctx, address, settings)
	}
}

// console reads PgBouncer's settings.
func console(ctx context.Context, address string) (map[string]string, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The console knows no queries but its own, and gives only text.
	results, err := conn.PgConn().Exec(ctx, "SHOW CONFIG").ReadAll()
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, r := range results {
		for _, row := range r.Rows {
			settings[string(row[0])] = string(row[1])
		}
	}
	return settings, nil
}

// sizes compares the sum of all pools with what PgBouncer takes and gives.
func (e *examination) sizes(settings map[string]string, total string, sum int) {
	number := func(key string) int { n, _ := strconv.Atoi(settings[key]); return n }
	size, clients := number("default_pool_size"), number("max_client_conn")
	switch {
	case settings["pool_mode"] == "transaction":
		e.good("pgbouncer", "transaction mode, %d connections to the server per user and database",
			size)
	case sum > size:
		e.bad(wrong, "pgbouncer", "pool_mode = transaction in pgbouncer.ini, then RELOAD",
			"%s mode: every client keeps its connection; all pools may open %s, and it gives %d",
			settings["pool_mode"], total, size)
	default:
		e.bad(warning, "pgbouncer", "pool_mode = transaction in pgbouncer.ini, then RELOAD",
			"%s mode: every client keeps its connection, and nothing is pooled",
			settings["pool_mode"])
	}
	if sum > clients {
		e.bad(wrong, "pgbouncer", fmt.Sprintf("max_client_conn = %d", sum*5/4),
			"all pools may open %s, and max_client_conn is %d", total, clients)
	} else {
		e.good("pgbouncer", "all pools may open %s; max_client_conn is %d", total, clients)
	}
	if n, known := settings["max_prepared_statements"]; known && n != "0" {
		e.good("pgbouncer", "it keeps prepared statements (%s): "+
			"PREPARED_STATEMENTS=true would work", n)
	}
}

// backend compares what PgBouncer opens with what the server allows.
func (e *examination) backend(ctx context.Context, direct string, settings map[string]string) {
	conn, err := connect(ctx, direct)
	if err != nil {
		e.bad(warning, "postgres", "check DIRECT_DATABASE_URL", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		return
	}
	if size, _ := strconv.Atoi(settings["default_pool_size"]); size > all-reserved {
		e.bad(wrong, "postgres", fmt.Sprintf("default_pool_size = %d", (all-reserved)*9/10),
			"PgBouncer may open %d connections, and max_connections %d less %d reserved leaves %d",
			size, all, reserved, all-reserved)
	} else {
		e.good("postgres", "PgBouncer may open %d of %d connections", size, all-reserved)
	}
}

// replicas looks how far each is behind.
func (e *examination) replicas(ctx context.Context, c database.Config, direct string) {
	for _, address := range c.Replicas {
		e.replica(ctx, address, direct, c.MaxLag)
	}
}

func (e *examination) replica(ctx context.Context, address, direct string, limit time.Duration) {
	name := address
	if u, err := url.Parse(address); err == nil {
		name = u.Host
	}
	conn, err := connect(ctx, address)
	if err != nil {
		e.bad(wrong, "replica", "start it, or take it out of REPLICA_DATABASE_URL",
			"%s does not answer: reads go to the primary, a few at a time: %v", name, err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var recovering, paused bool
	if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery(), pg_is_in_recovery() AND "+
		"pg_get_wal_replay_pause_state() <> 'not paused'").Scan(&recovering, &paused); err != nil {
		e.bad(warning, "replica", "", "%s does not say how it is: %v", name, err)
		return
	}
	switch {
	case !recovering:
		e.bad(wrong, "replica", "check the address; a promoted replica is a primary",
			"%s is not a replica", name)
		return
	case paused:
		e.bad(wrong, "replica", "SELECT pg_wal_replay_resume() there; look at its log and its disk",
			"%s has stopped replaying: what it answers gets older and older", name)
		return
	}
	behind, err := lag(ctx, conn, direct)
	switch {
	case err != nil:
		e.bad(warning, "replica", "", "%s: how far it is behind cannot be told: %v", name, err)
	case behind > limit:
		e.bad(wrong, "replica", "look at its load, its disk and the network; REPLICA_MAX_LAG is "+
			"the limit", "%s is %v behind, more than %v: nothing reads from it", name,
			behind.Round(time.Millisecond), limit)
	default:
		e.good("replica", "%s is %v behind", name, behind.Round(time.Millisecond))
	}
}

// lag measures how long a replica takes to replay what the primary has now: at
// least, if that is longer than it is watched.
func lag(ctx context.Context, replica *pgx.Conn, direct string) (time.Duration, error) {
	primary, err := connect(ctx, direct)
	if err != nil {
		return 0, err
	}
	defer primary.Close(context.WithoutCancel(ctx))
	var position string
	if err := primary.QueryRow(ctx,
		"SELECT pg_current_wal_flush_lsn()::text").Scan(&position); err != nil {
		return 0, err
	}
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var there bool
		var age float64
		err := replica.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn, "+
			"COALESCE(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float8",
			position).Scan(&there, &age)
		if err != nil {
			return 0, err
		}
		if there {
			return time.Since(start), nil
		}
		if time.Since(start) > time.Second {
			return max(time.Duration(age*float64(time.Second)), time.Since(start)), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
