package database_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestAPoolerIsFoundByItsBehaviour(t *testing.T) {
	c := pgtest.StartCluster(t)
	find := func(url string, want database.Pooler) {
		t.Helper()
		if got, err := database.FindPooler(t.Context(), url); got != want || err != nil {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
	}
	find(c.URL, database.Direct)
	url, _ := c.Pooler()
	find(url, database.TransactionPooler)
	for _, size := range []string{"1", "10"} {
		url, _ := c.Pooler("pool_mode = session", "default_pool_size = "+size)
		find(url, database.SessionPooler)
	}
	if _, err := migrate.Up(t.Context(), url); !errors.Is(err, migrate.ErrPooler) ||
		!strings.Contains(err.Error(), "DIRECT_DATABASE_URL") {
		t.Errorf("migrating through a pooler: %v", err)
	}
}

// The errors of statements that were prepared on another connection.
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

// jobQuery is one of the shapes that jobs' queries have.
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

func TestJobsOfMoreThreadsThanServerConnectionsRunBehindPgBouncer(t *testing.T) {
	c := pgtest.StartCluster(t)
	pgtest.Exec(t, c.URL, "CREATE TABLE seen (worker bigint, i bigint, PRIMARY KEY (worker, i))")
	url, _ := c.Pooler("default_pool_size = 5")
	// With what the pooler does not allow, the test would see it.
	wrong, _ := open(t, database.Config{URL: url, Prepared: database.PreparedOn}, 25)
	bad := 0
	for code, n := range hammer(t, wrong, 25, 2500) {
		if poolerErrors[code] {
			bad += n
		}
	}
	if bad == 0 {
		t.Error("prepared statements do no harm behind this pooler: the test proves nothing")
	}
	for _, prepared := range []database.Prepared{database.PreparedAuto, database.PreparedOff} {
		db, log := open(t, database.Config{URL: url, Prepared: prepared}, 25)
		if failed := hammer(t, db, 25, 50_000); len(failed) > 0 {
			t.Errorf("PREPARED_STATEMENTS=%s: errors by SQLSTATE: %v", prepared, failed)
		}
		if prepared == database.PreparedAuto && !strings.Contains(log.String(),
			"pooler=transaction prepared_statements=false because=\"a pooler was found\"") {
			t.Errorf("the choice is not said: %s", log)
		}
	}
}

func TestWithoutAPoolerStatementsArePrepared(t *testing.T) {
	_, log := open(t, database.Config{URL: pgtest.Start(t)}, 2)
	if !strings.Contains(log.String(), "pooler=none prepared_statements=true because=\"no pooler "+
		"was found\"") {
		t.Error(log)
	}
}

func TestACancelledJobLeavesItsConnectionUsable(t *testing.T) {
	c := pgtest.StartCluster(t)
	pooled, _ := c.Pooler("default_pool_size = 2")
	for name, url := range map[string]string{"direct": c.URL, "pooled": pooled} {
		t.Run(name, func(t *testing.T) {
			db, _ := open(t, database.Config{URL: url}, 1)
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if err := db.Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				cancel()
				r, _ := db.Fresh()
				if one, err := database.One(t.Context(), r, pgx.RowTo[int],
					"SELECT 1"); err != nil || one != 1 {
					t.Fatalf("after a cancelled query: %v", err)
				}
			}
			if n := db.Pool().Stat().NewConnsCount(); n != 1 {
				t.Errorf("%d connections were opened for one thread", n)
			}
			r, _ := db.Fresh()
			testwait.Until(t, 5*time.Second, "no query is left behind", func() bool {
				n, err := database.One(t.Context(), r, pgx.RowTo[int], "SELECT count(*) FROM "+
					"pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")
				return err == nil && n == 0
			})
		})
	}
}

func TestAFullPoolSaysSoInTime(t *testing.T) {
	db, _ := open(t, database.Config{URL: pgtest.Start(t), Wait: 50 * time.Millisecond}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan error)
	go func() { held <- db.Sleep(ctx, time.Minute) }()
	testwait.Until(t, 5*time.Second, "the only connection is taken",
		func() bool { return db.Pool().Stat().AcquiredConns() == 1 })
	r, _ := db.Fresh()
	_, err := database.One(t.Context(), r, pgx.RowTo[int], "SELECT 1")
	if !errors.Is(err, database.ErrBusy) || !strings.Contains(err.Error(), "DB_POOL") {
		t.Error(err)
	}
	if db.Pool().Stat().CanceledAcquireCount() != 1 {
		t.Error("the metric does not know")
	}
	cancel()
	<-held
}
