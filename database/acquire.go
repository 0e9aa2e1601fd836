package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The pauses between two attempts to connect to a server that refuses.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// acquire takes a connection from the pool. It waits for at most s.wait. A patient server that
// refuses a connection meanwhile is tried again, so that a restart of a server or pooler costs no
// job an attempt. The error is the last that happened: a refusal, or ErrBusy if all connections
// were in use.
func (s *server) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	var refused error
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		conn, err := s.pool.Acquire(waiting)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, err
		case waiting.Err() != nil && refused == nil:
			return nil, s.tooLate(err)
		case waiting.Err() != nil:
			return nil, refused
		}
		refused = explain(err, s.name)
		if !s.patient || !passes(err) {
			return nil, refused
		}
		select {
		case <-time.After(pause):
		case <-waiting.Done():
			return nil, refused
		}
	}
}

// tooLate returns the error for a connection that did not come within s.wait, although none was
// refused.
func (s *server) tooLate(err error) error {
	if stat := s.pool.Stat(); stat.AcquiredConns() < stat.MaxConns() {
		return fmt.Errorf("%w: the connection to Postgres at %s did not open within %v: %w",
			ErrSilent, s.name, s.wait, err)
	}
	return fmt.Errorf("%w: waited %v for one of the %d connections to %s: is DB_POOL, "+
		"or the pooler's default_pool_size, too small? See `workerctl doctor`",
		ErrBusy, s.wait, s.pool.Config().MaxConns, s.name)
}

// passes reports whether a server that refuses a connection with err may accept one soon: it is not
// there, starts, or has no connection left. A wrong password or name stays wrong.
func passes(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "08P01": // PgBouncer's code for all its errors
			return !strings.Contains(pg.Message, "no such") &&
				!strings.Contains(pg.Message, "authentication failed") &&
				!strings.Contains(pg.Message, "startup parameter")
		case "53300", "57P01", "57P02", "57P03":
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || isLost(err)
}
