package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// inOrder reports whether the first arguments of the jobs of each class are 0, 1, 2 and so on.
func inOrder(list []*queue.Job) bool {
	next := map[string]int{}
	for _, j := range list {
		if string(j.Args) != fmt.Sprintf("[%d]", next[j.Class]) {
			return false
		}
		next[j.Class]++
	}
	return true
}

func TestRelay(t *testing.T) {
	direct := newFixture(t)
	pooled, _ := direct.cluster.Pooler("default_pool_size = 4")
	for name, f := range map[string]*fixture{"": direct,
		", behind PgBouncer": direct.through(pooled)} {
		t.Run("pushes each row once and in order, with four relays"+name, func(t *testing.T) {
			f.in(t).testFour()
		})
		t.Run("Tx pushes before it returns"+name, func(t *testing.T) {
			f := f.in(t)
			for i := range 20 {
				if err := f.relay.Tx(t.Context(), func(tx pgx.Tx) error {
					_, err := outbox.Push(t.Context(), tx, "Job", []any{i},
						queue.Options{Queue: "a"})
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if n := f.raw.LLen(t.Context(), "queue:a").Val(); n != int64(i+1) {
					t.Fatalf("%d jobs after %d transactions", n, i+1)
				}
			}
		})
	}
}

func (f *fixture) testFour() {
	const transactions, each = 8, 700
	for range 4 {
		sub := *f
		sub.relay = outbox.New(f.relay.Config)
		sub.run()
	}
	var all sync.WaitGroup
	for i := range transactions {
		all.Go(func() { f.push(fmt.Sprintf("Job%d", i), each) })
	}
	all.Wait()
	f.arrives("a", transactions*each)
	if !inOrder(f.queued("a")) {
		f.Error("the jobs of a transaction are in another order")
	}
}

func TestTxTogether(t *testing.T) {
	f := newFixture(t)
	t.Run("shares the work of transactions at the same time", func(t *testing.T) {
		f := f.in(t)
		const threads, each = 10, 50
		before := f.deleted()
		var all sync.WaitGroup
		for range threads {
			all.Go(func() {
				for range each {
					if err := f.relay.Tx(t.Context(), func(tx pgx.Tx) error {
						_, err := outbox.Push(t.Context(), tx, "Job", nil,
							queue.Options{Queue: "a"})
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		f.arrives("a", threads*each)
		if n := f.relay.Counts(); n.Relayed != threads*each || n.Aside != 0 {
			t.Errorf("%+v", n)
		}
		if pages := f.deleted() - before; pages >= threads*each*3/4 {
			t.Errorf("%d pages for %d transactions", pages, threads*each)
		}
	})
}

// deleted returns how many statements have deleted rows, counted by a trigger.
func (f *fixture) deleted() (n int) {
	f.Helper()
	f.exec(`CREATE SEQUENCE IF NOT EXISTS pages`)
	f.exec(`CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM nextval('pages'); RETURN NULL; END $$;`)
	f.exec(`CREATE OR REPLACE TRIGGER note AFTER DELETE ON kyu_outbox EXECUTE FUNCTION note()`)
	if err := f.db.Pool().QueryRow(f.Context(), "SELECT nextval('pages')").Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

func TestOutage(t *testing.T) {
	t.Run("rows wait for Redis, and the log says so once", func(t *testing.T) {
		f := newFixture(t)
		f.run()
		f.push("Before", 1)
		f.arrives("a", 1)
		f.server.Kill()
		began := time.Now()
		for range 20 {
			if err := f.relay.Tx(t.Context(), func(tx pgx.Tx) error {
				_, err := outbox.PushBulk(t.Context(), tx, "Job", [][]any{{0}, {1}, {2}},
					queue.Options{Queue: "b"})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("20 transactions took %v", took)
		}
		if n := f.rows("true"); n != 60 {
			t.Errorf("%d rows wait", n)
		}
		f.server.Restart()
		f.arrives("b", 60)
		testwait.Until(t, 5*time.Second, "the log says that it is over", func() bool {
			return strings.Contains(f.log.String(), "are pushed again")
		})
		if n := strings.Count(f.log.String(), "their rows wait"); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
	})
	t.Run("an hour without Redis, 1,000 times as fast, loses nothing", func(t *testing.T) {
		f := newFixture(t)
		f.relay.Compress(1000)
		f.server.Kill()
		f.run()
		const hour = 3600 / 5 // attempts: the pauses are 5 s at most
		n := 0
		for ; n < 100; n++ {
			f.push(fmt.Sprint("Job", n), 3)
		}
		testwait.Until(t, time.Minute, "an hour has passed",
			func() bool { return f.relay.Attempts() >= hour })
		f.server.Restart()
		f.arrives("a", 3*n)
		if !inOrder(f.queued("a")) {
			t.Error("the jobs of a transaction are in another order")
		}
	})
	t.Run("goes on after Postgres and its pooler were restarted", func(t *testing.T) {
		f := newFixture(t)
		pooler := f.cluster.StartPooler("server_login_retry = 1")
		sub := f.through(pooler.URL)
		sub.run()
		f.push("Job", 1)
		f.arrives("a", 1)
		f.cluster.Stop()
		f.cluster.Restart()
		pgtest.Exec(t, f.cluster.URL, "SELECT 1")
		f.push("Job", 2)
		f.arrives("a", 3)
		pooler.Kill()
		f.push("Job", 2)
		pooler.Restart()
		f.arrives("a", 5)
	})
}

// tracer counts the statements of a pool.
type tracer struct{ n atomic.Int64 }

func (c *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn,
	_ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// traced returns the fixture with a relay whose statements are counted.
func (f *fixture) traced() (*fixture, *tracer) {
	f.Helper()
	c, counts := f.db.Pool().Config(), &tracer{}
	c.ConnConfig.Tracer = counts
	pool, err := pgxpool.NewWithConfig(f.Context(), c)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(pool.Close)
	sub := *f
	sub.relay = outbox.New(outbox.Config{Pool: pool, Store: f.store, Logger: f.relay.Logger})
	return &sub, counts
}

func TestIdle(t *testing.T) {
	t.Run("sends less than one query a second", func(t *testing.T) {
		f, counts := newFixture(t).traced()
		f.push("Job", 1)
		f.run()
		f.arrives("a", 1)
		const pauses = 6 // until the pauses are long
		from := counts.n.Load() + pauses
		wait := func(n int64) time.Time {
			testwait.Until(t, 20*time.Second, "the relay looks again",
				func() bool { return counts.n.Load() >= n })
			return time.Now()
		}
		began := wait(from)
		if took := wait(from + 4).Sub(began); took < 4*time.Second {
			t.Errorf("4 queries in %v", took)
		}
	})
	t.Run("looks once, and says nothing, while there is no table", func(t *testing.T) {
		f, counts := newFixture(t).traced()
		f.exec("ALTER TABLE kyu_outbox RENAME TO elsewhere")
		stop := f.run()
		testwait.Until(t, 10*time.Second, "the relay has looked",
			func() bool { return counts.n.Load() > 0 })
		stop()
		if counts.n.Load() != 1 || strings.Contains(f.log.String(), "their rows wait") {
			t.Error(counts.n.Load(), f.log.String())
		}
	})
}

func TestPage(t *testing.T) {
	f := newFixture(t)
	t.Run("has 4 MiB at most, and all arrive", func(t *testing.T) {
		f := f.in(t)
		f.exec(`INSERT INTO kyu_outbox (queue, payload) SELECT 'a', '{"class":"Job","args":[' ||
			i || '],"big":"' || repeat('x', 900000) || '"}' FROM generate_series(0, 29) AS i`)
		before := f.deleted()
		f.run()
		f.arrives("a", 30)
		if pages := f.deleted() - before - 1; pages < 7 {
			t.Errorf("%d pages", pages)
		}
		if !inOrder(f.queued("a")) {
			t.Error("they are in another order")
		}
	})
	t.Run("leaves the rows of a transaction that is not over", func(t *testing.T) {
		f := f.in(t)
		tx, err := f.db.Pool().Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		_, err = outbox.Push(t.Context(), tx, "Slow", nil, queue.Options{Queue: "a"})
		if err != nil {
			t.Fatal(err)
		}
		f.run()
		f.push("Fast", 1)
		testwait.Until(t, 10*time.Second, "the other row is pushed", func() bool {
			return f.raw.LLen(t.Context(), "queue:a").Val() == 1
		})
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.arrives("a", 2)
		var classes []string
		for _, j := range f.queued("a") {
			classes = append(classes, j.Class)
		}
		if !slices.Equal(classes, []string{"Fast", "Slow"}) {
			t.Error(classes)
		}
	})
}
