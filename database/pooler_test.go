package database_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// poolerErrors are the errors of statements that were prepared on another connection.
var poolerErrors = map[string]bool{"26000": true, "42P05": true, "08P01": true}

// hammer runs n queries on db from threads goroutines, and returns the errors by
// SQLSTATE.
func hammer(t *testing.T, db *database.Database, threads, n int) map[string]int {
	t.Helper()
	var mu sync.Mutex
	failed := map[string]int{}
	note := func(err error) {
		var pg *pgconn.PgError
		code := "?"
		if errors.As(err, &pg) {
			code = pg.Code
		}
		mu.Lock()
		defer mu.Unlock()
		if failed[code]++; failed[code] == 1 {
			t.Logf("first error: %v", err)
		}
	}
	var all sync.WaitGroup
	for worker := range threads {
		all.Go(func() {
			ctx := db.Begin(t.Context(), nil)
			for i := range n / threads {
				if err := jobQuery(ctx, db, worker, i); err != nil {
					note(err)
				}
			}
		})
	}
	all.Wait()
	return failed
}

// jobQuery runs a write, a transaction or, mostly, a read.
func jobQuery(ctx context.Context, db *database.Database, worker, i int) error {
	switch i % 20 {
	case 0:
		p, _ := db.Primary(ctx)
		_, err := p.Exec(ctx, "INSERT INTO seen (worker, i) VALUES ($1, $2) ON CONFLICT DO NOTHING",
			worker, i)
		return err
	case 1:
		p, _ := db.Primary(ctx)
		return p.Tx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", worker); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "UPDATE seen SET i = i WHERE worker = $1", worker)
			return err
		})
	}
	r, _ := db.Replica(ctx)
	got, err := database.One(ctx, r, pgx.RowTo[int64], "SELECT $1::bigint + count(*) * 0 FROM "+
		"seen WHERE worker = $2", int64(i), worker)
	if err == nil && got != int64(i) {
		return errors.New("the answer of another query")
	}
	return err
}

func TestFindPooler(t *testing.T) {
	c := pgtest.StartCluster(t)
	transaction, _ := c.Pooler()
	session, _ := c.Pooler("pool_mode = session", "default_pool_size = 10")
	small, _ := c.Pooler("pool_mode = session", "default_pool_size = 1")
	for name, c := range map[string]struct {
		url  string
		want database.Pooler
	}{"a server": {c.URL, database.Direct},
		"a pooler in transaction mode":                 {transaction, database.TransactionPooler},
		"a pooler in session mode":                     {session, database.SessionPooler},
		"a pooler in session mode with one connection": {small, database.SessionPooler}} {
		t.Run("finds "+name, func(t *testing.T) {
			if got, err := database.FindPooler(t.Context(), c.url); got != c.want || err != nil {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
		})
	}
	t.Run("keeps migrations off a pooler", func(t *testing.T) {
		if _, err := migrate.Up(t.Context(), session); !errors.Is(err, migrate.ErrPooler) ||
			!strings.Contains(err.Error(), "DIRECT_DATABASE_URL") {
			t.Error(err)
		}
	})
}

// The server has five connections for 25 threads.
func TestJobsBehindPgBouncer(t *testing.T) {
	c := pgtest.StartCluster(t)
	pgtest.Exec(t, c.URL, "CREATE TABLE seen (worker bigint, i bigint, PRIMARY KEY (worker, i))")
	url, _ := c.Pooler("default_pool_size = 5")
	t.Run("fail with prepared statements, so the test can see it", func(t *testing.T) {
		wrong, _ := open(t, database.Config{URL: url, Prepared: database.PreparedOn}, 25)
		bad := 0
		for code, n := range hammer(t, wrong, 25, 2500) {
			if poolerErrors[code] {
				bad += n
			}
		}
		if bad == 0 {
			t.Error("prepared statements do not fail here, so the other tests prove nothing")
		}
	})
	t.Run("run without prepared statements", func(t *testing.T) {
		for _, prepared := range []database.Prepared{database.PreparedAuto, database.PreparedOff} {
			db, log := open(t, database.Config{URL: url, Prepared: prepared}, 25)
			if failed := hammer(t, db, 25, 50_000); len(failed) > 0 {
				t.Errorf("PREPARED_STATEMENTS=%s: errors by SQLSTATE: %v", prepared, failed)
			}
			if prepared == database.PreparedAuto && !strings.Contains(log.String(),
				"pooler=transaction prepared_statements=false because=\"a pooler was found\"") {
				t.Errorf("the log does not give the choice: %s", log)
			}
		}
	})
}

func TestJobsWithoutAPooler(t *testing.T) {
	t.Run("run with prepared statements", func(t *testing.T) {
		_, log := open(t, database.Config{URL: pgtest.Start(t)}, 2)
		if !strings.Contains(log.String(), "pooler=none prepared_statements=true "+
			"because=\"no pooler was found\"") {
			t.Error(log)
		}
	})
}
