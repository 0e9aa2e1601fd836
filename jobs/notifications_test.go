package jobs_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/pgtest"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, with a deadline of its own.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

// read reads a database's configuration from variables.
func read(t *testing.T, vars map[string]string) database.Config {
	t.Helper()
	r := &env.Reader{Lookup: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
	c := database.ConfigFromEnv(r)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestANotificationIsStoredOnceHoweverOftenItsJobRuns(t *testing.T) {
	url := pgtest.Start(t)
	for _, prepared := range []string{"true", "false"} {
		t.Run("PREPARED_STATEMENTS="+prepared, func(t *testing.T) {
			var log bytes.Buffer
			c := read(t, map[string]string{"DATABASE_URL": url, "DB_POOL": "2", "PREPARED_STATEMENTS": prepared})
			db, err := database.Open(t.Context(), c, 7, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			pool, _ := db.Primary()
			if pool.Config().MaxConns != 7 || !strings.Contains(log.String(), "DB_POOL") {
				t.Errorf("pool of %d for 7 threads, log %s", pool.Config().MaxConns, &log)
			}
			pool.Exec(t.Context(), "DROP TABLE IF EXISTS kyu_notifications")
			n := &jobs.Notifications{DB: db}
			mux := worker.NewMux()
			worker.Handle(mux, "LocalNotificationWorker", n.Notify)
			client := queue.NewClient(&workertest.Inline{Mux: mux})
			push := func(args ...any) error {
				_, err := client.Push(t.Context(), "LocalNotificationWorker", args, queue.Options{})
				return err
			}
			if err := push(1, 2, "Mention", "mention"); err == nil || !strings.Contains(err.Error(), "workerctl migrate") {
				t.Errorf("without a table: %v", err)
			}
			for range 2 { // a migration can be run again, and so can a job
				if _, err := database.Migrate(t.Context(), url); err != nil {
					t.Fatal(err)
				}
				if err := push(1, 2, "Mention", "mention", map[string]any{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := push(1, 3, "Mention"); err != nil {
				t.Error(err)
			}
			var rows int
			pool.QueryRow(t.Context(), "SELECT count(*) FROM kyu_notifications").Scan(&rows)
			if rows != 2 {
				t.Errorf("%d rows", rows)
			}
			var steer *queue.Steer
			if err := push(0, 3, "Mention"); !errors.As(err, &steer) || steer.Action != queue.Dead {
				t.Errorf("without a receiver: %v", err)
			}
		})
	}
}

func TestWithoutPostgresAJobFailsAndSaysWhatIsMissing(t *testing.T) {
	db, err := database.Open(t.Context(), read(t, nil), 5, nil)
	if db != nil || err != nil {
		t.Fatal(db, err)
	}
	n := &jobs.Notifications{DB: db}
	if err := n.Notify(t.Context(), jobs.LocalNotification{}); !errors.Is(err, database.ErrNone) {
		t.Error(err)
	}
}
