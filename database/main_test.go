package database_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, within a deadline.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

// open opens a database whose replicas are watched until the test ends.
func open(t *testing.T, c database.Config, threads int) (*database.Database, *testwait.Log) {
	t.Helper()
	log := &testwait.Log{}
	db, err := database.Open(t.Context(), c, threads, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); db.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; db.Close() })
	return db, log
}
