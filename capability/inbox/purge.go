package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Life is how long a mark is kept after the last run of its job that has found it. It is longer
// than any pause between two of the 25 retries of a job, of which the last is four days.
const Life = 7 * 24 * time.Hour

// purgeRows is how many marks one statement deletes.
const purgeRows = 1000

// Execer runs a statement: a pool, a connection or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Purge deletes the marks that are older than life, and returns their number. It stops with no
// error when ctx ends. Package outbox calls it in each process that has a relay.
func Purge(ctx context.Context, db Execer, life time.Duration) (deleted int64, err error) {
	for ctx.Err() == nil {
		tag, err := db.Exec(ctx, `DELETE FROM kyu_inbox WHERE (scope, jid) IN (
			SELECT scope, jid FROM kyu_inbox WHERE done_at < now() - make_interval(secs => $1)
			ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED)`, life.Seconds(), purgeRows)
		if err != nil {
			return deleted, fmt.Errorf("purge the inbox: %w", explain(err))
		}
		deleted += tag.RowsAffected()
		if tag.RowsAffected() < purgeRows {
			break
		}
	}
	return deleted, nil
}
