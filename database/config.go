// Package database opens Postgres for jobs: a pool sized to the worker's
// threads, from the environment that Mastodon's admins already have. Without
// that environment there is no pool, and no failure.
package database

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/env"
)

// Config says which Postgres to use.
type Config struct {
	URL      string // empty: none is configured
	Pool     int    // DB_POOL; 0: as many as there are threads
	Prepared bool   // false behind a pooler that gives each transaction another connection
}

// ConfigFromEnv reads DATABASE_URL, or DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASS
// and DB_SSLMODE; DB_POOL and PREPARED_STATEMENTS. Postgres is configured if
// DATABASE_URL, DB_HOST, DB_NAME or DB_USER is set. Problems go to r.
func ConfigFromEnv(r *env.Reader) Config {
	c := Config{URL: addressFromEnv(r)}
	if c.URL == "" {
		r.Note("postgres", "none", "default")
		return c
	}
	c.Pool = r.Int("postgres pool", 0, 0, 10_000, "DB_POOL")
	c.Prepared = r.Bool("postgres prepared statements", true, "PREPARED_STATEMENTS")
	if _, err := c.poolConfig(1); err != nil {
		r.Problem("%w", err)
	}
	return c
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

func partsFromEnv(r *env.Reader) string {
	host := r.String("postgres host", "localhost", "DB_HOST")
	port := r.Int("postgres port", 5432, 1, 65535, "DB_PORT")
	u := url.URL{Scheme: "postgres", Path: "/" + r.String("postgres database", "mastodon_production", "DB_NAME")}
	user := r.String("postgres user", "mastodon", "DB_USER")
	u.User = url.User(user)
	if password := r.Secret("postgres password", "DB_PASS"); password != "" {
		u.User = url.UserPassword(user, password)
	}
	q := url.Values{"sslmode": {r.String("postgres sslmode", "prefer", "DB_SSLMODE")}}
	if host[0] == '/' { // a directory with a socket
		q.Set("host", host)
		q.Set("port", strconv.Itoa(port))
	} else {
		u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// poolConfig is pgx's configuration for a worker with threads threads.
func (c Config) poolConfig(threads int) (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the Postgres address %s is not understood: want postgres://user:password@host:port/database; check DATABASE_URL or DB_*", env.MaskURL(c.URL))
	}
	p.MaxConns = int32(max(c.Pool, threads))
	p.MinConns = 0
	p.MaxConnIdleTime = 5 * time.Minute
	if p.ConnConfig.ConnectTimeout == 0 {
		p.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	// Empty, because a pooler sets it again for every transaction.
	delete(p.ConnConfig.RuntimeParams, "application_name")
	if !c.Prepared {
		// The only mode but the simple protocol that never relies on what an
		// earlier statement left on the connection.
		p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		p.ConnConfig.StatementCacheCapacity, p.ConnConfig.DescriptionCacheCapacity = 0, 0
	}
	return p, nil
}
