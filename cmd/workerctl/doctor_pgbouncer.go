package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/kyujobs/kyu/database"
)

// pooler looks at PgBouncer, by its admin console if that can be reached.
func (e *examination) pooler(ctx context.Context, c database.Config, found database.Pooler,
	direct string, d demand) {
	if c.Prepared == database.PreparedOn {
		e.bad(warning, "pgbouncer", "leave PREPARED_STATEMENTS out, or set it to false, unless "+
			"it is PgBouncer 1.21 or newer with max_prepared_statements",
			"PREPARED_STATEMENTS=true behind a pooler")
	}
	settings, err := console(ctx, e.consoleURL(c.URL))
	if err != nil {
		e.bad(warning, "pgbouncer", "--pgbouncer postgres://ADMIN@HOST:6432/pgbouncer, with a "+
			"user of its admin_users or stats_users", "its admin console cannot be reached, and "+
			"its sizes are not known: %v", err)
		if found == database.SessionPooler {
			e.bad(warning, "pgbouncer", "pool_mode = transaction, then RELOAD",
				"it looks like session mode: a client keeps its connection, and nothing is pooled")
		}
		return
	}
	e.poolMode(settings, d)
	e.clients(settings, d)
	if direct != c.URL {
		e.backend(ctx, direct, settings)
	}
}

// consoleURL is --pgbouncer, or the database pgbouncer at the pooler's own address.
func (e *examination) consoleURL(pooler string) string {
	if e.pgbouncer != "" {
		return e.pgbouncer
	}
	u, err := url.Parse(pooler)
	if err != nil {
		return ""
	}
	u.Path = "/pgbouncer"
	return u.String()
}

// console reads PgBouncer's settings.
func console(ctx context.Context, address string) (map[string]string, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The console understands no queries but its own, and answers only in text.
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

// poolMode compares the demand with the connections that PgBouncer gives in its mode.
func (e *examination) poolMode(settings map[string]string, d demand) {
	size, _ := strconv.Atoi(settings["default_pool_size"])
	switch mode := settings["pool_mode"]; {
	case mode == "transaction":
		e.good("pgbouncer", "transaction mode, %d connections to the server per user and database",
			size)
	case d.sum > size:
		e.bad(wrong, "pgbouncer", "pool_mode = transaction in pgbouncer.ini, then RELOAD",
			"%s mode: every client keeps its connection; all pools may open %s, and it gives %d",
			mode, d.text, size)
	default:
		e.bad(warning, "pgbouncer", "pool_mode = transaction in pgbouncer.ini, then RELOAD",
			"%s mode: every client keeps its connection, and nothing is pooled", mode)
	}
}

// clients compares the demand with the clients that PgBouncer accepts.
func (e *examination) clients(settings map[string]string, d demand) {
	clients, _ := strconv.Atoi(settings["max_client_conn"])
	if d.sum > clients {
		e.bad(wrong, "pgbouncer", fmt.Sprintf("max_client_conn = %d", d.sum*5/4),
			"all pools may open %s, and max_client_conn is %d", d.text, clients)
	} else {
		e.good("pgbouncer", "all pools may open %s; max_client_conn is %d", d.text, clients)
	}
	if n, known := settings["max_prepared_statements"]; known && n != "0" {
		e.good("pgbouncer", "it keeps prepared statements (%s): "+
			"PREPARED_STATEMENTS=true would work", n)
	}
}

// backend compares the connections that PgBouncer may open with those that the server
// allows.
func (e *examination) backend(ctx context.Context, direct string, settings map[string]string) {
	conn, err := connect(ctx, direct)
	if err != nil {
		e.bad(warning, "postgres", "check DIRECT_DATABASE_URL", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		e.bad(warning, "postgres", "", "its limits cannot be read: %v", err)
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
