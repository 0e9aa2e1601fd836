package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	pollEvery   = time.Second
	pollTimeout = 2 * time.Second
	goodPolls   = 3 // good polls in a row until a replica that was out is read from again
)

// errPromoted means that a server is not, or no longer, a replica.
var errPromoted = errors.New("it is not a replica: is the address right, or was it promoted?")

// replica is a streaming replica and its last known state.
type replica struct {
	*server
	maxLag time.Duration
	log    *slog.Logger

	// The goroutine of Run and those of jobs read and write these fields, under mu.
	mu       sync.Mutex
	replayed Position      // what it is known to have replayed
	lag      time.Duration // as of the last poll that was answered
	out      bool          // it is not read from
	good     int           // good polls in a row, while it is out
	since    time.Time     // when it was taken out
}

// poll asks the replica how far it has replayed, and decides whether it is read from.
func (r *replica) poll(ctx context.Context, h *history) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	p, err := r.ask(ctx)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad(fmt.Errorf("it does not answer: %w", err))
		return
	}
	r.lag = h.lag(p, now)
	switch {
	case r.lag > r.maxLag:
		r.bad(fmt.Errorf("it is %v behind, more than REPLICA_MAX_LAG=%v",
			r.lag.Round(100*time.Millisecond), r.maxLag))
	case r.lag > r.maxLag/2: // neither good nor bad, so that a lag near the limit does not flap
		r.good = 0
	case r.out:
		if r.good++; r.good >= goodPolls {
			r.out = false
			r.log.Info("a Postgres replica is read from again", "replica", r.name,
				"after", now.Sub(r.since).Round(time.Second).Seconds())
		}
	}
}

// bad takes the replica out, because of err. The caller holds mu.
func (r *replica) bad(err error) {
	r.good = 0
	if !r.out {
		r.out, r.since = true, time.Now()
		r.log.Warn("a Postgres replica is taken out: reads go elsewhere until it is good again",
			"replica", r.name, "err", err)
	}
}

// failed takes the replica out after a query that failed because of it.
func (r *replica) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad(err)
}

// ask reads how far the replica has replayed.
func (r *replica) ask(ctx context.Context) (Position, error) {
	var text *string
	err := r.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn()::text "+
			"WHERE pg_is_in_recovery()").Scan(&text)
	})
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && text == nil) {
		return 0, errPromoted
	}
	if err != nil {
		return 0, err
	}
	p, err := ParsePosition(*text)
	if err == nil {
		r.mu.Lock()
		r.replayed = max(r.replayed, p)
		r.mu.Unlock()
	}
	return p, err
}

// has reports whether the replica is in use and has replayed p. It asks the replica if it
// is not known to have replayed p.
func (r *replica) has(ctx context.Context, p Position) bool {
	r.mu.Lock()
	out, replayed := r.out, r.replayed
	r.mu.Unlock()
	if out || replayed >= p {
		return !out
	}
	now, err := r.ask(ctx)
	if err != nil && ctx.Err() == nil {
		r.failed(fmt.Errorf("it does not answer: %w", err))
	}
	return err == nil && now >= p
}

func (r *replica) isOut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out
}

// isLost reports whether the connection ended, or could not be opened.
func isLost(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P01" || pg.Code == "57P02" || strings.HasPrefix(pg.Code, "08")
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.Is(err, ErrSilent) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

// isFault reports whether an error is the server's fault, not the query's: a lost
// connection, a shutdown, or a query that was cancelled because it held up the replay.
func isFault(err error) bool {
	if err == nil || errors.Is(err, pgx.ErrNoRows) || errors.Is(err, ErrBusy) {
		return false
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return isLost(err)
	}
	switch {
	case pg.Code == "57014": // cancelled by us, or by its statement_timeout
		return false
	case pg.Code == "40001": // cancelled because it held up the replay
		return true
	}
	class := pg.Code[:min(2, len(pg.Code))]
	// The classes of connections, resources, operators' interventions and system errors.
	return class == "08" || class == "53" || class == "57" || class == "58"
}
