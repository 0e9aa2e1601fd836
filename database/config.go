// Package database opens the Postgres of the jobs: a pool with a connection for each of the
// worker's threads, configured by the variables that Mastodon uses, with or without a
// pooler such as PgBouncer, and with or without replicas. Without those variables there is
// no Postgres and no error: Open returns nil, and a job that needs Postgres gets ErrNone.
//
// A job asks for a handle: Database.Primary to write, Database.Fresh to read what must not
// be old, Database.Replica for reads that a replica may answer. Collect and One read from
// a handle. Database.Begin makes the reads of a job follow its own writes; Database.Stamp
// makes the jobs that it pushes read what it wrote.
package database

import (
	"cmp"
	"context"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/env"
)

// Config is the configuration of Postgres. The zero Config means no Postgres.
type Config struct {
	URL      string   // the primary, or the pooler before it; empty: no Postgres
	Replicas []string // URLs of streaming replicas
	Pool     int      // connections per server (DB_POOL); at least the number of threads
	Prepared Prepared // whether statements are prepared on the server

	// Wait is the longest wait for a free connection of the pool. 0: 5 s.
	Wait time.Duration
	// MaxLag is how far a replica may be behind the primary to be read from. 0: 5 s.
	MaxLag time.Duration
	// Fallback is the most reads at once that the primary answers while all replicas are
	// out. 0: a quarter of the threads, at least one.
	Fallback int
	// Policies are the policies of job classes. Sticky for a class without one.
	Policies map[string]Policy
}

// Prepared decides whether statements are prepared on the server.
type Prepared string

// Values of Prepared.
const (
	PreparedAuto Prepared = ""      // prepared, unless a pooler is found
	PreparedOn   Prepared = "true"  // prepared; a pooler must be PgBouncer 1.21 or newer
	PreparedOff  Prepared = "false" // not prepared
)

// Policy decides where a class's reads by Database.Replica go.
type Policy string

// Values of Policy.
const (
	// Sticky reads from a replica that has replayed what the job needs, else from the
	// primary.
	Sticky Policy = "sticky"
	// Delayed is like Sticky, but waits 100 ms for a replica and then snoozes the job for
	// one second, once, before it reads from the primary.
	Delayed Policy = "delayed"
	// Always reads from the primary.
	Always Policy = "always"
)

// ConfigFromEnv reads the variables that Mastodon uses. The primary is
// DATABASE_URL, or DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASS and DB_SSLMODE, and is
// configured if DATABASE_URL, DB_HOST, DB_NAME or DB_USER is set. Replicas are
// REPLICA_DATABASE_URL, or REPLICA_DB_HOST, _PORT, _NAME, _USER and _PASS, where a variable
// that is not set has the primary's value; several URLs or hosts are separated by commas.
// DB_POOL, PREPARED_STATEMENTS, DB_POOL_TIMEOUT (seconds), REPLICA_MAX_LAG (seconds),
// REPLICA_FALLBACK and REPLICA_POLICIES set the other fields. Problems go to r.
func ConfigFromEnv(r *env.Reader) Config {
	c := Config{URL: addressFromEnv(r)}
	if c.URL == "" {
		r.Note("postgres", "none", "default")
		return c
	}
	e, err := parseEndpoint(c.URL)
	if err != nil {
		r.Problem("%w", err)
		e = &endpoint{}
	}
	c.Pool = r.Int("postgres pool", e.pool, 0, 10_000, "DB_POOL")
	c.Prepared = preparedFromEnv(r, e.prepared)
	wait := int(math.Ceil(cmp.Or(e.wait, 5*time.Second).Seconds()))
	c.Wait = time.Duration(r.Int("postgres wait for a connection (s)", wait, 1, 600,
		"DB_POOL_TIMEOUT")) * time.Second
	c.Replicas = replicasFromEnv(r, c.URL)
	if len(c.Replicas) > 0 {
		c.MaxLag = time.Duration(r.Int("postgres replica lag (s)", 5, 1, 3600,
			"REPLICA_MAX_LAG")) * time.Second
		c.Fallback = r.Int("postgres replica fallback", 0, 0, 10_000, "REPLICA_FALLBACK")
		c.Policies = policiesFromEnv(r)
	}
	for _, address := range c.Replicas {
		if _, err := parseEndpoint(address); err != nil {
			r.Problem("%w", err)
		}
	}
	return c
}

// preparedFromEnv reads PREPARED_STATEMENTS. inURL is the value in the URL.
func preparedFromEnv(r *env.Reader, inURL Prepared) Prepared {
	if v, _ := r.Get("PREPARED_STATEMENTS"); v == "" && inURL != PreparedAuto {
		r.Note("postgres prepared statements", string(inURL), "the URL")
		return inURL
	} else if v == "" {
		r.Note("postgres prepared statements", "unless a pooler is found", "default")
		return PreparedAuto
	}
	if r.Bool("postgres prepared statements", true, "PREPARED_STATEMENTS") {
		return PreparedOn
	}
	return PreparedOff
}

func addressFromEnv(r *env.Reader) string {
	if v, source := r.Get("DATABASE_URL"); v != "" {
		r.Note("postgres", env.MaskURL(v), source)
		return v
	}
	for _, key := range []string{"DB_HOST", "DB_NAME", "DB_USER"} {
		if v, _ := r.Get(key); v != "" {
			return partsFromEnv(r)
		}
	}
	return ""
}

// parts are the parts of a server's URL. host may be a list with commas: pgx tries one after the
// other.
type parts struct {
	host, name, user, password, sslmode string
	port                                int
}

func (a parts) url() string {
	u := url.URL{Scheme: "postgres", Path: "/" + a.name, User: url.User(a.user)}
	if a.password != "" {
		u.User = url.UserPassword(a.user, a.password)
	}
	q := url.Values{"sslmode": {a.sslmode}}
	if strings.HasPrefix(a.host, "/") { // the directory of a Unix socket
		q.Set("host", a.host)
		q.Set("port", strconv.Itoa(a.port))
	} else {
		var hosts []string // each with the port: pgx would give it only to the last
		for _, host := range list(a.host) {
			hosts = append(hosts, net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(a.port)))
		}
		u.Host = strings.Join(hosts, ",")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func partsFromEnv(r *env.Reader) string {
	return parts{
		host:     r.String("postgres host", "localhost", "DB_HOST"),
		port:     r.Int("postgres port", 5432, 1, 65535, "DB_PORT"),
		name:     r.String("postgres database", "mastodon_production", "DB_NAME"),
		user:     r.String("postgres user", "mastodon", "DB_USER"),
		password: r.Secret("postgres password", "DB_PASS"),
		sslmode:  r.String("postgres sslmode", "prefer", "DB_SSLMODE"),
	}.url()
}

// replicasFromEnv returns the URLs of the replicas. There are some if
// REPLICA_DATABASE_URL, REPLICA_DB_HOST or REPLICA_DB_NAME is set.
func replicasFromEnv(r *env.Reader, primary string) []string {
	if v, source := r.Get("REPLICA_DATABASE_URL"); v != "" {
		urls := list(v)
		for _, u := range urls {
			r.Note("postgres replica", env.MaskURL(u), source)
		}
		return urls
	}
	hosts, _ := r.Get("REPLICA_DB_HOST")
	name, _ := r.Get("REPLICA_DB_NAME")
	if hosts == "" && name == "" {
		return nil
	}
	base, err := ConnConfig(primary)
	if err != nil {
		return nil // ConfigFromEnv reports the primary's URL
	}
	u, err := url.Parse(primary)
	if err != nil {
		r.Problem("the Postgres address is not a URL: set REPLICA_DATABASE_URL for the replicas")
		return nil
	}
	a := parts{
		port:     r.Int("postgres replica port", int(base.Port), 1, 65535, "REPLICA_DB_PORT"),
		name:     r.String("postgres replica database", base.Database, "REPLICA_DB_NAME"),
		user:     r.String("postgres replica user", base.User, "REPLICA_DB_USER"),
		password: base.Password,
		sslmode:  "prefer",
	}
	if mode := u.Query().Get("sslmode"); mode != "" {
		a.sslmode = mode
	}
	if password := r.Secret("postgres replica password", "REPLICA_DB_PASS"); password != "" {
		a.password = password
	}
	var urls []string
	for _, host := range list(r.String("postgres replica host", base.Host, "REPLICA_DB_HOST")) {
		a.host = host
		urls = append(urls, a.url())
	}
	return urls
}

// list splits a list at its commas, and drops spaces and empty parts.
func list(text string) []string {
	var out []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// policiesFromEnv reads REPLICA_POLICIES, such as FeedInsertWorker=delayed,Other=always.
func policiesFromEnv(r *env.Reader) map[string]Policy {
	text := r.String("postgres replica policies", "", "REPLICA_POLICIES")
	policies := map[string]Policy{}
	for _, part := range list(text) {
		class, name, _ := strings.Cut(part, "=")
		switch p := Policy(name); p {
		case Sticky, Delayed, Always:
			policies[class] = p
		default:
			r.Problem("REPLICA_POLICIES=%q: %q: want CLASS=sticky, CLASS=delayed or CLASS=always",
				text, part)
		}
	}
	return policies
}

// poolConfig is pgx's configuration for a server of a worker with that many threads.
func (c Config) poolConfig(address string, threads int) (*pgxpool.Config, error) {
	e, err := parseEndpoint(address)
	if err != nil {
		return nil, err
	}
	p := e.config
	p.MaxConns = int32(max(c.Pool, threads))
	p.MinConns = 0
	p.MaxConnIdleTime = 5 * time.Minute
	x := p.ConnConfig
	if x.ConnectTimeout == 0 {
		x.ConnectTimeout = 10 * time.Second
	}
	p.PrepareConn = func(_ context.Context, c *pgx.Conn) (bool, error) {
		return alive(c.PgConn().Conn()), nil
	}
	// alive has looked. pgx would send a query of its own to a connection that was idle for 1 s.
	p.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	x.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &canceller{conn: conn}
	}
	return p, nil
}

// unprepared makes connections whose statements do not depend on earlier ones. Only this
// mode of pgx and the simple protocol work behind a pooler that gives each transaction
// another connection, and the simple protocol puts the arguments into the SQL text itself.
func unprepared(x *pgx.ConnConfig) {
	x.DefaultQueryExecMode = pgx.QueryExecModeExec
	x.StatementCacheCapacity, x.DescriptionCacheCapacity = 0, 0
}
