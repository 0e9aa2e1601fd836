package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/env"
)

// Pooler is what stands between us and a server.
type Pooler string

const (
	Direct            Pooler = "none"
	TransactionPooler Pooler = "transaction" // each transaction may get another connection
	// a client keeps its connection; or no evidence against it was seen
	SessionPooler Pooler = "session"
)

// FindPooler tells by behaviour whether address is a server or a pooler such as
// PgBouncer, whatever its port. A pooler makes up the process id that it tells a
// client at the start, so that it differs from the one that queries see; and in
// transaction mode two clients that are connected at once see the same one.
func FindPooler(ctx context.Context, address string) (Pooler, error) {
	x, err := pgx.ParseConfig(address)
	if err != nil {
		return "", errors.New("the Postgres address " + env.MaskURL(address) + " is not understood")
	}
	if x.ConnectTimeout == 0 {
		x.ConnectTimeout = 10 * time.Second
	}
	delete(x.RuntimeParams, "application_name")
	unprepared(x)
	first, err := pgx.ConnectConfig(ctx, x)
	if err != nil {
		return "", explain(err, address)
	}
	defer first.Close(context.WithoutCancel(ctx))
	pid, err := backend(ctx, first)
	if err != nil {
		return "", explain(err, address)
	}
	if pid == first.PgConn().PID() {
		return Direct, nil
	}
	if shared(ctx, first, x) {
		return TransactionPooler, nil
	}
	return SessionPooler, nil
}

// shared reports whether first and a second client were seen on the same backend.
// A busy pooler may hide it for some rounds.
func shared(ctx context.Context, first *pgx.Conn, x *pgx.ConnConfig) bool {
	// of a session pooler of size 1 a second client waits in vain
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

func backend(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	return pid, err
}
