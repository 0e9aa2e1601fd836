package testjobs

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/inbox"
	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/worker"
)

type onceArgs struct {
	Path string
	ID   string
}

// registerOnce adds Test::Once. It writes "start ID" and "end ID" as Test::Ledger does, and between
// them adds a row to the table effects, once for each job.
func registerOnce(m *worker.Mux, db Database) {
	worker.Handle(m, "Test::Once", func(ctx context.Context, a onceArgs) error {
		if err := note(a.Path, "start", a.ID); err != nil {
			return err
		}
		err := inbox.Once(ctx, db.Pool(), func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO effects (id) VALUES ($1)", a.ID)
			failpoint.Hit("mid_run")
			return err
		})
		if err != nil {
			return err
		}
		return note(a.Path, "end", a.ID)
	}, worker.Options{RetryDelay: soon})
}
