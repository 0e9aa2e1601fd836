package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

// postgres looks at the server, the pooler before it, and its replicas.
func (e *examination) postgres(ctx context.Context, c database.Config) {
	if c.URL == "" {
		e.bad(warning, "postgres", "set DATABASE_URL, or DB_HOST and its like, for doctor as for "+
			"the workers", "none is configured: connections are not looked at")
		return
	}
	pooler, err := database.FindPooler(ctx, c.URL)
	if err != nil {
		e.bad(wrong, "postgres", "start it, or set DATABASE_URL to its address", "%v", err)
		return
	}
	direct := c.URL
	if v, _ := e.env.Get("DIRECT_DATABASE_URL"); v != "" {
		direct = v
	}
	if demand := demandOf(e.pools); pooler == database.Direct {
		e.limits(ctx, direct, demand)
	} else {
		e.pooler(ctx, c, pooler, direct, demand)
	}
	for _, address := range c.Replicas {
		e.replica(ctx, address, direct, c.MaxLag)
	}
}

// demand is the number of connections that all pools together may open.
type demand struct {
	sum  int
	text string // the sum with its parts
}

func demandOf(pools []pool) demand {
	sum := 0
	var parts []string
	for _, p := range pools {
		sum += p.Connections
		parts = append(parts, strconv.Itoa(p.Connections))
	}
	if sum == 0 {
		return demand{0, "no connections"}
	}
	return demand{sum, fmt.Sprintf("%d connections (%s)", sum, strings.Join(parts, " + "))}
}

// connect opens a connection without prepared statements, which poolers and the console of
// PgBouncer accept.
func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	x, err := database.ConnConfig(address)
	if err != nil {
		return nil, err
	}
	x.ConnectTimeout = 5 * time.Second
	x.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, x)
}

// room is max_connections, and how many of them ordinary users do not get.
func room(ctx context.Context, conn *pgx.Conn) (all, reserved int, err error) {
	err = conn.QueryRow(ctx, `SELECT current_setting('max_connections')::int,
		current_setting('superuser_reserved_connections')::int +
		COALESCE(current_setting('reserved_connections', true), '0')::int`).Scan(&all, &reserved)
	return all, reserved, err
}

// limits compares the demand with the connections that the server allows.
func (e *examination) limits(ctx context.Context, address string, d demand) {
	conn, err := connect(ctx, address)
	if err != nil {
		e.bad(wrong, "postgres", "check the address", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		e.bad(warning, "postgres", "", "its limits cannot be read: %v", err)
		return
	}
	available := all - reserved
	text := fmt.Sprintf("all pools may open %s; max_connections %d less %d reserved leaves %d",
		d.text, all, reserved, available)
	switch {
	case d.sum > available:
		e.bad(wrong, "postgres", fmt.Sprintf("fewer threads or processes, max_connections of %d, "+
			"or PgBouncer in transaction mode (workerctl plan)", d.sum*10/9+reserved),
			"%s: they cannot fit", text)
	case d.sum*10 > available*9:
		e.bad(warning, "postgres",
			"leave a tenth for migrations and for queries by hand", "%s", text)
	default:
		e.good("postgres", "%s", text)
	}
	if len(e.pools) > 0 && e.others == (otherPools{}) && e.number("WEB_CONCURRENCY") == 0 {
		e.bad(warning, "postgres", "--web 2x5 --streaming 1x10, or --env-file",
			"web and streaming processes are not counted: their numbers are not given")
	}
}
