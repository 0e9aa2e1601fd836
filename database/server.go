package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrBusy means that no connection became free within Config.Wait.
var ErrBusy = errors.New("no Postgres connection became free in time")

// ErrSilent means that a server or pooler did not answer within Config.Wait.
var ErrSilent = errors.New("the server does not answer")

// server is a Postgres server and the pool of connections to it.
type server struct {
	name string // host:port/database, for logs and errors
	pool *pgxpool.Pool
	wait time.Duration // the longest wait for a connection
	// patient: a server that refuses connections is tried again within wait. A replica is not: the
	// primary answers for it.
	patient bool
	pooled  bool // there is a pooler before it
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
	s := &server{name: name(address), wait: cmp.Or(c.Wait, 5*time.Second)}
	pooler, found := FindPooler(ctx, address)
	s.pooled = found == nil && pooler != Direct
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
		c, err := ConnConfig(address)
		if err != nil {
			return "?"
		}
		return fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
	}
	return u.Host + u.Path
}

// with runs fn on a connection of the pool.
func (s *server) with(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := s.acquire(ctx)
	if err != nil {
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

// again is with for an fn that may run several times, such as a query that only reads: it runs
// again if the connection ended meanwhile, because the server or its pooler was restarted.
func (s *server) again(ctx context.Context, fn func(*pgx.Conn) error) error {
	return s.repeat(ctx, func() (again bool, err error) {
		err = s.with(ctx, fn)
		return isLost(err), err
	})
}

// transact runs fn in a transaction. If the connection ends before the commit is sent, nothing has
// happened on the server: the transaction is tried again, unless fn began and must not be repeated.
// A pooler that is restarted drops statements that it has not passed on, without a word. Outside of
// a transaction, nobody could know whether such a statement was carried out.
func (s *server) transact(ctx context.Context, fn func(pgx.Tx) error, repeatable bool) error {
	return s.repeat(ctx, func() (again bool, err error) {
		var began, sent bool
		err = s.with(ctx, func(c *pgx.Conn) error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				began = true
				err := fn(tx)
				sent = err == nil
				return err
			})
		})
		return isLost(err) && !sent && (repeatable || !began), err
	})
}

// maxRuns is how often a statement runs that is cut off each time: it may be what ends the server.
const maxRuns = 4

// repeat calls try until it says that it must not be repeated, maxRuns times at most, and not after
// s.wait has passed.
func (s *server) repeat(ctx context.Context, try func() (again bool, err error)) error {
	end := time.Now().Add(s.wait)
	for runs, pause := 1, firstPause; ; runs, pause = runs+1, min(2*pause, maxPause) {
		again, err := try()
		if !again || runs == maxRuns || ctx.Err() != nil || time.Now().Add(pause).After(end) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}
