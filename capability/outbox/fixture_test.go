package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, with a deadline of its own.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

// fixture is a Redis, a Postgres with the tables, and a relay between them.
type fixture struct {
	testing.TB
	cluster *pgtest.Cluster
	server  *redistest.Server
	raw     *redis.Client
	store   *queue.Store
	db      *database.Database
	relay   *outbox.Relay
	log     *testwait.Log
}

// newFixture starts one. settings are those of Postgres.
func newFixture(t testing.TB, settings ...string) *fixture {
	t.Helper()
	f := &fixture{TB: t, cluster: pgtest.StartCluster(t, settings...), server: redistest.Start(t),
		log: &testwait.Log{}}
	if _, err := migrate.Up(t.Context(), f.cluster.URL); err != nil {
		t.Fatal(err)
	}
	f.raw, f.store = f.server.Client(), f.server.Store()
	return f.through(f.cluster.URL)
}

// newBench starts one whose Postgres syncs each commit.
func newBench(b *testing.B) *fixture {
	b.Helper()
	return newFixture(b, "fsync=on", "max_wal_size=4GB")
}

// through returns the fixture with a relay that reaches Postgres at url.
func (f *fixture) through(url string) *fixture {
	f.Helper()
	sub := *f
	logger := slog.New(slog.NewTextHandler(f.log, nil))
	db, err := database.Open(f.Context(), database.Config{URL: url}, 20, logger)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(db.Close)
	sub.db = db
	sub.relay = outbox.New(outbox.Config{Pool: db.Pool(), Store: f.store, Logger: logger})
	return &sub
}

// in returns the fixture for a subtest, with no rows, no jobs, and a new relay.
func (f *fixture) in(t *testing.T) *fixture {
	t.Helper()
	sub := *f
	sub.TB = t
	sub.exec("TRUNCATE kyu_outbox")
	if err := f.raw.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	sub.relay = outbox.New(f.relay.Config)
	return &sub
}

// run runs the relay until the end of the test, or until stop is called.
func (f *fixture) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.relay.Run(ctx) }()
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	}
	f.Cleanup(stop)
	return stop
}

func (f *fixture) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.db.Pool().Exec(f.Context(), sql, args...); err != nil {
		f.Fatalf("%s: %v", sql, err)
	}
}

// rows counts the rows that fit a condition.
func (f *fixture) rows(where string) (n int) {
	f.Helper()
	err := f.db.Pool().QueryRow(f.Context(), "SELECT count(*) FROM kyu_outbox WHERE "+
		where).Scan(&n)
	if err != nil {
		f.Fatal(err)
	}
	return n
}

// tx runs fn in a transaction and commits it.
func (f *fixture) tx(fn func(tx pgx.Tx) error) {
	f.Helper()
	if err := pgx.BeginFunc(f.Context(), f.db.Pool(), fn); err != nil {
		f.Fatal(err)
	}
}

// push pushes n jobs of a class to the queue a in one transaction.
func (f *fixture) push(class string, n int) {
	f.Helper()
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i}
	}
	f.tx(func(tx pgx.Tx) error {
		_, err := outbox.PushBulk(f.Context(), tx, class, args, queue.Options{Queue: "a"})
		return err
	})
}

// queued returns the jobs of a queue, the oldest first.
func (f *fixture) queued(name string) (list []*queue.Job) {
	f.Helper()
	for _, raw := range f.raw.LRange(f.Context(), "queue:"+name, 0, -1).Val() {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			f.Fatal(err)
		}
		list = append([]*queue.Job{j}, list...)
	}
	return list
}

// arrives waits for n jobs in a queue, and for a table without rows that wait.
func (f *fixture) arrives(name string, n int) {
	f.Helper()
	testwait.Until(f, 20*time.Second, fmt.Sprintf("%d jobs are in the queue %s", n, name),
		func() bool {
			return f.raw.LLen(f.Context(), "queue:"+name).Val() == int64(n) &&
				f.rows("error IS NULL") == 0
		})
}

var errBack = errors.New("roll it back")
