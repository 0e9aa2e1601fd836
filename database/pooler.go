package database

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is the kind of pooler between us and a server.
type Pooler string

// Values of Pooler.
const (
	Direct            Pooler = "none"        // no pooler
	TransactionPooler Pooler = "transaction" // each transaction may get another connection
	SessionPooler     Pooler = "session"     // a client keeps its connection, as far as was seen
)

// FindPooler finds out whether address is a server or a pooler such as PgBouncer. It
// connects twice and compares process ids: a pooler invents the id that it sends to a client
// at the start, so that it differs from the id that a query returns, and in transaction mode
// queries of two clients return the same id. An address that does not answer is an error.
func FindPooler(ctx context.Context, address string) (Pooler, error) {
	x, err := ConnConfig(address)
	if err != nil {
		return "", err
	}
	if x.ConnectTimeout == 0 {
		x.ConnectTimeout = 10 * time.Second
	}
	unprepared(x)
	first, err := pgx.ConnectConfig(ctx, x)
	if err != nil {
		return "", explain(err, name(address))
	}
	defer first.Close(context.WithoutCancel(ctx))
	pid, err := backend(ctx, first)
	if err != nil {
		return "", explain(err, name(address))
	}
	if pid == first.PgConn().PID() {
		return Direct, nil
	}
	if shared(ctx, first, x) {
		return TransactionPooler, nil
	}
	return SessionPooler, nil
}

// shared reports whether first and a second client were seen on the same server process.
// It tries several times, because a busy pooler may use different ones for a while.
func shared(ctx context.Context, first *pgx.Conn, x *pgx.ConnConfig) bool {
	// A session pooler of size 1 makes a second client wait until the first has ended.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	second, err := pgx.ConnectConfig(ctx, x)
	if err != nil {
		return false
	}
	defer second.Close(context.WithoutCancel(ctx))
	seen := [2]map[uint32]bool{{}, {}}
	for range 20 {
		for i, conn := range []*pgx.Conn{first, second} {
			pid, err := backend(ctx, conn)
			if err != nil {
				return false
			}
			seen[i][pid] = true
			if seen[1-i][pid] || len(seen[i]) > 1 {
				return true
			}
		}
	}
	return false
}

// backend returns the id of the server process that answers on a connection.
func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	return pid, err
}
