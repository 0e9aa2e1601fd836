package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

// Postgres looks at the servers and poolers of the primary and of the replicas. Fleet comes before
// it: it knows the pools of the workers.
func (e *Examination) Postgres(ctx context.Context) {
	c := e.Database
	if c.URL == "" {
		e.bad(Warning, "postgres", "set DATABASE_URL, or DB_HOST and its like, for doctor as for "+
			"the workers", "none is configured: connections are not looked at")
		return
	}
	others, err := e.Others.Pools()
	if err != nil {
		e.bad(Wrong, "postgres", "", "%v", err)
	}
	d := demandOf(slices.Concat(e.Pools, others))
	direct := cmp.Or(e.Direct, c.URL)
	for i, s := range serversOf(c) {
		e.server(ctx, s, direct, i == 0, d)
	}
	if len(e.Pools) > 0 && len(others) == 0 {
		e.bad(Warning, "postgres", "--web 2x5 --streaming 1x10, or --env-file",
			"web and streaming processes are not counted: their numbers are not given")
	}
	for _, address := range c.Replicas {
		e.replica(ctx, address, direct, c.MaxLag)
	}
}

// server is a server or pooler, and the databases there to which each process opens a pool.
type server struct {
	place     string // host:port
	url       string // of the first database
	databases []string
}

// serversOf returns the servers of the primary and of the replicas, that of the primary first. Two
// databases of one PgBouncer are one server: its limit of clients holds for both.
func serversOf(c database.Config) (list []*server) {
	at := map[string]*server{}
	for _, url := range append([]string{c.URL}, c.Replicas...) {
		x, err := database.ConnConfig(url)
		if err != nil {
			continue // ConfigFromEnv has reported it
		}
		place := fmt.Sprintf("%s:%d", x.Host, x.Port)
		if at[place] == nil {
			at[place] = &server{place: place, url: url}
			list = append(list, at[place])
		}
		at[place].databases = append(at[place].databases, x.Database)
	}
	return list
}

// server compares the pools that lead to a server with its limits.
func (e *Examination) server(ctx context.Context, s *server, direct string, primary bool,
	d demand) {
	found, err := database.FindPooler(ctx, s.url)
	if err != nil {
		if primary {
			e.bad(Wrong, "postgres", "", "%v", err)
		}
		return // replica reports a replica that does not answer
	}
	address := s.url
	if primary {
		address = direct
	}
	if found == database.Direct {
		e.limits(ctx, address, d.times(len(s.databases)))
		return
	}
	if e.Database.Prepared == database.PreparedOn && primary {
		e.bad(Warning, "pgbouncer", "leave PREPARED_STATEMENTS out, or set it to false, unless "+
			"it is PgBouncer 1.21 or newer with max_prepared_statements",
			"PREPARED_STATEMENTS=true behind a pooler")
	}
	e.pooler(ctx, s, found, address, d)
}

// demand is the number of connections that all pools together may open.
type demand struct {
	sum  int
	text string // the sum with its parts
}

func demandOf(pools []Pool) demand {
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

// times is the demand of processes that open a pool to each of n databases.
func (d demand) times(n int) demand {
	if n < 2 || d.sum == 0 {
		return d
	}
	return demand{d.sum * n, fmt.Sprintf("%d connections (%d databases x %s)", d.sum*n, n, d.text)}
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
func (e *Examination) limits(ctx context.Context, address string, d demand) {
	conn, err := connect(ctx, address)
	if err != nil {
		e.bad(Wrong, "postgres", "check the address", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		e.bad(Warning, "postgres", "", "its limits cannot be read: %v", err)
		return
	}
	available := all - reserved
	text := fmt.Sprintf("all pools may open %s; max_connections %d less %d reserved leaves %d",
		d.text, all, reserved, available)
	switch {
	case d.sum > available:
		e.bad(Wrong, "postgres", fmt.Sprintf("fewer threads or processes, max_connections of %d, "+
			"or PgBouncer in transaction mode (workerctl plan)", d.sum*10/9+reserved),
			"%s: they cannot fit", text)
	case d.sum*10 > available*9:
		e.bad(Warning, "postgres",
			"leave a tenth for migrations and for queries by hand", "%s", text)
	default:
		e.good("postgres", "%s", text)
	}
}
