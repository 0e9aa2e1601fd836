package database_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

func TestServer(t *testing.T) {
	t.Run("that does not answer: the error has a remedy and no password", func(t *testing.T) {
		_, err := database.Open(t.Context(),
			database.Config{URL: "postgres://u:secret@127.0.0.1:1/d"}, 1,
			slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "is it running") ||
			strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	})
	t.Run("with a full pool is an error after the wait", func(t *testing.T) {
		db, _ := open(t, database.Config{URL: pgtest.Start(t), Wait: 50 * time.Millisecond}, 1)
		only, err := db.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer only.Release()
		r, _ := db.Fresh()
		_, err = database.One(t.Context(), r, pgx.RowTo[int], "SELECT 1")
		if !errors.Is(err, database.ErrBusy) || !strings.Contains(err.Error(), "DB_POOL") {
			t.Error(err)
		}
		if db.Pool().Stat().CanceledAcquireCount() != 1 {
			t.Error("the statistics of the pool do not count it")
		}
	})
}
