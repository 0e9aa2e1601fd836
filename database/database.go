package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/env"
)

// ErrNone says that a job needs Postgres and none is configured.
var ErrNone = errors.New("no Postgres is configured: set DATABASE_URL, or DB_HOST and its like")

// Database is the Postgres of the jobs. A nil Database is none.
type Database struct {
	primary *pgxpool.Pool
}

// Open connects a pool with at least one connection for each of threads, and
// asks the server for a sign of life. It returns nil if none is configured. A
// DB_POOL that is smaller than the threads is raised, and said loudly: with fewer
// connections threads wait for each other.
func Open(ctx context.Context, c Config, threads int, log *slog.Logger) (*Database, error) {
	if c.URL == "" {
		return nil, nil
	}
	p, err := c.poolConfig(threads)
	if err != nil {
		return nil, err
	}
	if c.Pool > 0 && c.Pool < threads {
		log.Warn("DB_POOL is smaller than the number of threads: raised, every thread needs a connection",
			"DB_POOL", c.Pool, "threads", threads, "pool", p.MaxConns)
	}
	pool, err := pgxpool.NewWithConfig(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, explain(err, c.URL)
	}
	return &Database{primary: pool}, nil
}

// explain says what to do about a failed first contact.
func explain(err error, url string) error {
	var pg *pgconn.PgError
	hint := "is it running, and is DATABASE_URL (or DB_HOST and DB_PORT) right?"
	if errors.As(err, &pg) {
		switch pg.Code {
		case "28P01", "28000":
			hint = "it refuses the user or password: check DATABASE_URL, or DB_USER and DB_PASS"
		case "3D000":
			hint = "there is no such database: check DB_NAME"
		case "53300":
			hint = "it has no connection left: compare max_connections with the sum of all pools"
		}
	}
	return fmt.Errorf("cannot use Postgres at %s: %s %w", env.MaskURL(url), hint, err)
}

// Primary is the pool of the server that is written to, or ErrNone.
func (d *Database) Primary() (*pgxpool.Pool, error) {
	if d == nil {
		return nil, ErrNone
	}
	return d.primary, nil
}

// Sleep holds a connection for d: for load tests.
func (d *Database) Sleep(ctx context.Context, wait time.Duration) error {
	pool, err := d.Primary()
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, "SELECT pg_sleep($1::float8)", wait.Seconds())
	return err
}

// Close gives all connections back. It waits for those in use.
func (d *Database) Close() {
	if d != nil {
		d.primary.Close()
	}
}
