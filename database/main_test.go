package database_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/kyujobs/kyu/database"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, with a deadline of its own.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// open opens a database whose replicas are watched until the test ends.
func open(t *testing.T, c database.Config, threads int) (*database.Database, *buffer) {
	t.Helper()
	log := &buffer{}
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
