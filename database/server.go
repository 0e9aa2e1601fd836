package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/env"
)

// ErrBusy means that no connection became free within Config.Wait.
var ErrBusy = errors.New("no Postgres connection became free in time")

// server is a Postgres server and the pool of connections to it.
type server struct {
	name string // host:port/database, for logs and errors
	pool *pgxpool.Pool
	wait time.Duration // the longest wait for a free connection
}

// openServer makes the pool, whose connections are opened when they are needed. If the
// server does not answer it returns both the server and the error: statements are then not
// prepared, because there may be a pooler.
func openServer(ctx context.Context, c Config, address string, threads int,
	log *slog.Logger) (*server, error) {
	p, err := c.poolConfig(address, threads)
	if err != nil {
		return nil, err
	}
	s := &server{name: name(address), wait: c.Wait}
	if s.wait == 0 {
		s.wait = 5 * time.Second
	}
	pooler, found := FindPooler(ctx, address)
	prepared, why := c.prepared(pooler)
	if !prepared {
		unprepared(p.ConnConfig)
	}
	if found == nil {
		log.Info("Postgres", "server", s.name, "pooler", string(pooler),
			"prepared_statements", prepared, "because", why, "pool", p.MaxConns)
		if prepared && pooler == TransactionPooler {
			log.Warn("PREPARED_STATEMENTS=true behind a pooler in transaction mode: jobs fail "+
				"with SQLSTATE 26000 or 42P05 unless it is PgBouncer 1.21 or newer with "+
				"max_prepared_statements; else set it to false, or leave it out",
				"server", s.name)
		}
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, p); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return s, found
}

// prepared decides whether statements are prepared, and returns the reason for the log.
func (c Config) prepared(p Pooler) (bool, string) {
	switch {
	case c.Prepared != PreparedAuto:
		return c.Prepared == PreparedOn, "PREPARED_STATEMENTS"
	case p == Direct:
		return true, "no pooler was found"
	case p == "":
		return false, "it does not answer yet"
	default:
		return false, "a pooler was found"
	}
}

// name returns a server's address without user and password.
func name(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		c, err := pgconn.ParseConfig(address)
		if err != nil {
			return "?"
		}
		return fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
	}
	return u.Host + u.Path
}

// with runs fn on a connection of the pool.
func (s *server) with(ctx context.Context, fn func(*pgx.Conn) error) error {
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	conn, err := s.pool.Acquire(waiting)
	cancel()
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			return fmt.Errorf("%w: waited %v for one of the %d connections to %s: is DB_POOL, "+
				"or the pooler's default_pool_size, too small? See `workerctl doctor`",
				ErrBusy, s.wait, s.pool.Config().MaxConns, s.name)
		}
		return err
	}
	defer conn.Release()
	err = fn(conn.Conn())
	if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		// The server's own text is "canceling statement due to user request".
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// explain adds the likely remedy to the error of a first connection.
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
		case "08P01":
			hint = "it did not accept the connection: behind PgBouncer, check that the database " +
				"and user are in its configuration"
		}
	}
	return fmt.Errorf("cannot use Postgres at %s: %s %w", env.MaskURL(url), hint, err)
}
