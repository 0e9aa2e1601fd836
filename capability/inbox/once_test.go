package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/capability/inbox"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"go.uber.org/goleak"
	"log/slog"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, with a deadline of its own.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

// fixture is a Postgres with the tables and a table of effects, behind PgBouncer.
type fixture struct {
	*testing.T
	pool *pgxpool.Pool
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	c := pgtest.StartCluster(t)
	if _, err := migrate.Up(t.Context(), c.URL); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, c.URL, "CREATE TABLE effects (n int)")
	url, _ := c.Pooler()
	db, err := database.Open(t.Context(), database.Config{URL: url}, 10, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &fixture{t, db.Pool()}
}

// job is the context of a run of a job.
func (f *fixture) job(class, jid string) context.Context {
	f.Helper()
	j, err := envelope.ParseJob(fmt.Sprintf(`{"class":%q,"jid":%q}`, class, jid))
	if err != nil {
		f.Fatal(err)
	}
	return queue.WithJob(f.Context(), j)
}

// effect adds a row.
func (f *fixture) effect(ctx context.Context) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO effects VALUES (1)")
		return err
	}
}

func (f *fixture) count(table string) (n int) {
	f.Helper()
	if err := f.pool.QueryRow(f.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

func TestOnce(t *testing.T) {
	f := newFixture(t)
	once := func(t *testing.T, class, jid string) {
		t.Helper()
		ctx := f.job(class, jid)
		if err := inbox.Once(ctx, f.pool, f.effect(ctx)); err != nil {
			t.Error(err)
		}
	}
	grows := func(t *testing.T, by int, fn func()) {
		t.Helper()
		before := f.count("effects")
		if fn(); f.count("effects")-before != by {
			t.Errorf("%d effects, want %d", f.count("effects")-before, by)
		}
	}
	t.Run("a second run has no effect and no error", func(t *testing.T) {
		grows(t, 1, func() { once(t, "A", "one"); once(t, "A", "one") })
	})
	t.Run("other jobs, and other effects of the job, have theirs", func(t *testing.T) {
		grows(t, 3, func() {
			once(t, "A", "two")
			once(t, "B", "two")
			ctx := f.job("A", "two")
			if err := inbox.OnceFor(ctx, f.pool, "mail", f.effect(ctx)); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("an error leaves neither effect nor mark", func(t *testing.T) {
		failed := errors.New("failed")
		grows(t, 1, func() {
			ctx := f.job("A", "three")
			err := inbox.Once(ctx, f.pool, func(tx pgx.Tx) error {
				return errors.Join(f.effect(ctx)(tx), failed)
			})
			if !errors.Is(err, failed) {
				t.Error(err)
			}
			once(t, "A", "three")
		})
	})
	t.Run("runs at the same time have one effect", func(t *testing.T) {
		grows(t, 1, func() {
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() { once(t, "A", "four") })
			}
			all.Wait()
		})
	})
	t.Run("needs a job", func(t *testing.T) {
		for _, ctx := range []context.Context{t.Context(), f.job("A", "")} {
			if err := inbox.Once(ctx, f.pool, nil); !errors.Is(err, inbox.ErrNoJob) {
				t.Error(err)
			}
		}
	})
}

func TestOnceWaits(t *testing.T) {
	f := newFixture(t)
	t.Run("for a run that is in the effect, and takes its place after a rollback",
		func(t *testing.T) {
			ctx, inside, end := f.job("A", "one"), make(chan bool), make(chan error)
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { // ends with end
				first <- inbox.Once(ctx, f.pool, func(tx pgx.Tx) error {
					err := f.effect(ctx)(tx)
					inside <- true
					return errors.Join(err, <-end)
				})
			}()
			<-inside
			go func() { second <- inbox.Once(ctx, f.pool, f.effect(ctx)) }() // ends after first
			testwait.Until(t, 10*time.Second, "the second run waits", func() bool {
				return f.count("pg_stat_activity WHERE wait_event_type = 'Lock'") == 1
			})
			end <- errors.New("rolled back")
			if err := <-first; err == nil {
				t.Error("the first run has no error")
			}
			if err := <-second; err != nil || f.count("effects") != 1 {
				t.Error(err, f.count("effects"))
			}
		})
}

func TestPurge(t *testing.T) {
	f := newFixture(t)
	old := func(jid string) {
		_, err := f.pool.Exec(t.Context(), "INSERT INTO kyu_inbox SELECT 'A', $1 || i, "+
			"now() - interval '8 days' FROM generate_series(1, 1200) AS i", jid)
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("deletes the marks that are old, in several statements", func(t *testing.T) {
		old("x")
		ctx := f.job("A", "new")
		if err := inbox.Once(ctx, f.pool, f.effect(ctx)); err != nil {
			t.Fatal(err)
		}
		n, err := inbox.Purge(t.Context(), f.pool, inbox.Life)
		if n != 1200 || err != nil || f.count("kyu_inbox") != 1 {
			t.Error(n, err, f.count("kyu_inbox"))
		}
	})
	t.Run("keeps the mark of a job that is retried", func(t *testing.T) {
		old("y")
		ctx := f.job("A", "y7")
		if err := inbox.Once(ctx, f.pool, f.effect(ctx)); err != nil {
			t.Fatal(err)
		}
		if n, err := inbox.Purge(t.Context(), f.pool, inbox.Life); n != 1199 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("says how to make the table", func(t *testing.T) {
		if _, err := f.pool.Exec(t.Context(), "DROP TABLE kyu_inbox"); err != nil {
			t.Fatal(err)
		}
		if _, err := inbox.Purge(t.Context(), f.pool, inbox.Life); !errors.Is(err,
			inbox.ErrNoTable) {
			t.Error(err)
		}
		ctx := f.job("A", "one")
		if err := inbox.Once(ctx, f.pool, f.effect(ctx)); !errors.Is(err, inbox.ErrNoTable) {
			t.Error(err)
		}
	})
}
