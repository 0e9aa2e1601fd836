// Package inbox makes the effect of a job in Postgres happen once, although the job may run twice.
//
//	func (s *Shop) Charge(ctx context.Context, a Charge) error {
//		return inbox.Once(ctx, s.Pool, func(tx pgx.Tx) error {
//			_, err := tx.Exec(ctx, "UPDATE accounts SET …")
//			return err
//		})
//	}
//
// The effect and the mark that it happened commit together, in the table kyu_inbox, which
// `workerctl migrate` creates. A second run finds the mark, and the job is done.
package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/queue"
)

var (
	// ErrNoJob means that Once was called outside of a job, or in a job without a JID.
	ErrNoJob = errors.New("inbox: the context is not that of a job with a JID")
	// ErrNoTable means that the table kyu_inbox does not exist.
	ErrNoTable = errors.New("the table kyu_inbox is not there: run `workerctl migrate`")
)

// DB opens transactions: a *pgxpool.Pool or a *pgx.Conn.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Once runs fn in a transaction and commits it with a mark that the job of ctx has done this. If
// the mark is there, Once returns nil and does not call fn. While another run of the same job is in
// fn, Once waits for its end. If fn returns an error, there is no effect and no mark. If the commit
// fails, fn may have had its effect; then there is a mark, too, and the job can be retried.
//
// A job that has several effects calls OnceFor for each. ctx is that of a handler; the error is
// ErrNoJob for others.
func Once(ctx context.Context, db DB, fn func(pgx.Tx) error) error {
	j := queue.JobFrom(ctx)
	if j == nil {
		return ErrNoJob
	}
	class, _ := j.Unwrapped()
	return OnceFor(ctx, db, class, fn)
}

// OnceFor is Once for one of several effects of a job: scope is a name of the effect. The scope of
// Once is the class of the job.
func OnceFor(ctx context.Context, db DB, scope string, fn func(pgx.Tx) error) error {
	j := queue.JobFrom(ctx)
	if j == nil || j.JID == "" {
		return ErrNoJob
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO kyu_inbox (scope, jid) VALUES ($1, $2) "+
			"ON CONFLICT DO NOTHING", scope, j.JID)
		if err != nil {
			return explain(err)
		}
		if tag.RowsAffected() > 0 {
			return fn(tx)
		}
		// The mark of a job that is still retried must not grow old: see Life.
		_, err = tx.Exec(ctx, "UPDATE kyu_inbox SET done_at = now() WHERE scope = $1 AND jid = $2",
			scope, j.JID)
		return err
	})
}

// explain adds the remedy to the error of a statement that found no table.
func explain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" {
		return fmt.Errorf("%w: %w", ErrNoTable, err)
	}
	return err
}
