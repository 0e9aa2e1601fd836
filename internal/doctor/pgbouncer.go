package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
)

// pooler looks at PgBouncer, by its admin console if that can be reached. d is the demand of each
// of its databases.
func (e *Examination) pooler(ctx context.Context, s *server, found database.Pooler, direct string,
	d demand) {
	settings, err := console(ctx, e.consoleURL(s.url))
	if err != nil {
		e.bad(Warning, "pgbouncer", "--pgbouncer postgres://ADMIN@HOST:6432/pgbouncer, with a "+
			"user of its admin_users or stats_users", "the admin console of %s cannot be reached, "+
			"and its sizes are not known: %v", s.place, err)
		if found == database.SessionPooler {
			e.bad(Warning, "pgbouncer", "pool_mode = transaction, then RELOAD",
				"it looks like session mode: a client keeps its connection, and nothing is pooled")
		}
		return
	}
	for _, name := range s.databases {
		e.poolMode(name, settings.database(name), d)
	}
	e.clients(settings.all, d.times(len(s.databases)))
	if direct != s.url {
		e.backend(ctx, direct, settings.database(s.databases[0]))
	}
}

// consoleURL is --pgbouncer, or the database pgbouncer at the pooler's own address.
func (e *Examination) consoleURL(pooler string) string {
	if e.PgBouncer != "" {
		return e.PgBouncer
	}
	u, err := url.Parse(pooler)
	if err != nil || u.Scheme == "" { // a DSN, in which the last of two holds
		return pooler + " dbname=pgbouncer"
	}
	q := u.Query()
	for key := range q { // the console refuses settings of a server
		if !strings.HasPrefix(key, "ssl") && key != "host" && key != "port" && key != "hostaddr" {
			q.Del(key)
		}
	}
	u.Path, u.RawQuery = "/pgbouncer", q.Encode()
	return u.String()
}

// bouncer are the settings of a PgBouncer, and those of its databases that are not the same.
type bouncer struct {
	all       map[string]string            // SHOW CONFIG
	databases map[string]map[string]string // by name: the row of SHOW DATABASES
}

// database returns the settings of a database: its own, else those of all.
func (b *bouncer) database(name string) map[string]string {
	own := maps.Clone(b.all)
	row := b.databases[name]
	if row == nil {
		row = b.databases["*"]
	}
	if row["pool_size"] != "" {
		own["default_pool_size"] = row["pool_size"]
	}
	if row["pool_mode"] != "" {
		own["pool_mode"] = row["pool_mode"]
	}
	return own
}

// console reads the settings of a PgBouncer.
func console(ctx context.Context, address string) (*bouncer, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	b := &bouncer{map[string]string{}, map[string]map[string]string{}}
	config, err := show(ctx, conn, "CONFIG")
	if err != nil {
		return nil, err
	}
	for _, row := range config {
		b.all[row["key"]] = row["value"]
	}
	databases, err := show(ctx, conn, "DATABASES")
	for _, row := range databases {
		b.databases[row["name"]] = row
	}
	return b, err
}

// show returns the rows of a SHOW of the console, by the names of the columns. The console
// understands no queries but its own, and answers only in text.
func show(ctx context.Context, conn *pgx.Conn, what string) (rows []map[string]string, err error) {
	results, err := conn.PgConn().Exec(ctx, "SHOW "+what).ReadAll()
	for _, r := range results {
		for _, values := range r.Rows {
			row := map[string]string{}
			for i, field := range r.FieldDescriptions {
				row[field.Name] = string(values[i])
			}
			rows = append(rows, row)
		}
	}
	return rows, err
}

// poolMode compares the demand with the connections that PgBouncer gives for a database in its
// mode.
func (e *Examination) poolMode(name string, settings map[string]string, d demand) {
	size, _ := strconv.Atoi(settings["default_pool_size"])
	const remedy = "pool_mode = transaction in pgbouncer.ini, then RELOAD"
	switch mode := settings["pool_mode"]; {
	case mode == "transaction":
		e.good("pgbouncer", "%s: transaction mode, %d connections to the server for a user", name,
			size)
	case mode == "statement":
		e.bad(Wrong, "pgbouncer", remedy, "%s: statement mode: every transaction of a job fails",
			name)
	case d.sum > size:
		e.bad(Wrong, "pgbouncer", remedy, "%s: %s mode: every client keeps its connection; all "+
			"pools may open %s, and it gives %d", name, mode, d.text, size)
	default:
		e.bad(Warning, "pgbouncer", remedy, "%s: %s mode: every client keeps its connection, and "+
			"nothing is pooled", name, mode)
	}
}

// clients compares the demand with the clients that PgBouncer accepts.
func (e *Examination) clients(settings map[string]string, d demand) {
	clients, _ := strconv.Atoi(settings["max_client_conn"])
	if d.sum > clients {
		e.bad(Wrong, "pgbouncer", fmt.Sprintf("max_client_conn = %d", d.sum*5/4),
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
func (e *Examination) backend(ctx context.Context, direct string, settings map[string]string) {
	conn, err := connect(ctx, direct)
	if err != nil {
		e.bad(Warning, "postgres", "check DIRECT_DATABASE_URL", "%v", err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, reserved, err := room(ctx, conn)
	if err != nil {
		e.bad(Warning, "postgres", "", "its limits cannot be read: %v", err)
		return
	}
	if size, _ := strconv.Atoi(settings["default_pool_size"]); size > all-reserved {
		e.bad(Wrong, "postgres", fmt.Sprintf("default_pool_size = %d", (all-reserved)*9/10),
			"PgBouncer may open %d connections, and max_connections %d less %d reserved leaves %d",
			size, all, reserved, all-reserved)
	} else {
		e.good("postgres", "PgBouncer may open %d of %d connections", size, all-reserved)
	}
}
