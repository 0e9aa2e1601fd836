package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// outboxPlan is the variable that makes a test binary a pusher of TestOutbox: its number, and the
// addresses of Postgres and Redis and the path of the ledger.
const outboxPlan = "KYU_FAULTS_OUTBOX"

// TestOutbox kills pushers, relays, Redis and Postgres in turn. A job runs if and only if its
// transaction was committed, and has its effect once.
func TestOutbox(t *testing.T) {
	t.Parallel()
	row := scores(t, 48)
	o := newOutboxRun(t)
	kills := bySize(16, 1000)
	for i := range kills {
		o.kill(i)
		if i%8 == 7 { // else a fault that stops everything could hide behind the next
			before := o.ledger.ended(t)
			o.Until(time.Minute, "jobs run", func() bool {
				o.revive()
				return o.ledger.ended(t) > before
			})
		}
		<-time.After(rand.N(200 * time.Millisecond))
	}
	o.revive()
	for _, p := range o.pushers {
		p.Kill()
	}
	retriedUntilDone(t, o.Site, o.ledger, 2*time.Minute)
	o.Until(time.Minute, "no row is left", func() bool { return o.count("kyu_outbox") == 0 })
	retriedUntilDone(t, o.Site, o.ledger, 2*time.Minute)
	again := o.check()
	row("%d kills of pushers, relays, Redis and Postgres in turn: %d jobs of committed "+
		"transactions, lost 0, run after a rollback 0, effects that happened twice 0 (%d jobs "+
		"started more than once)", kills, o.count("committed"), again)
}

// outboxRun is one run of TestOutbox.
type outboxRun struct {
	*harness.Site
	t        *testing.T
	ledger   *ledger
	postgres *pgtest.Cluster
	pooled   string // the address of Postgres behind a PgBouncer
	pushers  []*harness.Process
	workers  []*harness.Process
}

func newOutboxRun(t *testing.T) *outboxRun {
	o := &outboxRun{Site: harness.New(t, durable...), t: t, postgres: pgtest.StartCluster(t)}
	o.ledger = newLedger(o.Site)
	o.pooled, _ = o.postgres.Pooler("default_pool_size = 10", "server_login_retry = 1")
	o.Env = append(o.Env, "DATABASE_URL="+o.postgres.URL)
	o.OK("0003_outbox.sql", "migrate")
	pgtest.Exec(t, o.postgres.URL, "CREATE TABLE committed (id text); "+
		"CREATE TABLE effects (id text)")
	for i := range 2 {
		o.workers = append(o.workers, o.worker(i))
		o.pushers = append(o.pushers, o.pusher(i))
	}
	return o
}

// worker starts a worker, of which one reaches Postgres through PgBouncer.
func (o *outboxRun) worker(i int) *harness.Process {
	url := []string{o.postgres.URL, o.pooled}[i]
	return o.WorkerWith([]string{"DATABASE_URL=" + url, "TEST_NO_POISON=1"}, "-c", "5",
		"--log-level", "warn", "-C", pollConfig(o.Site, 0.5))
}

// pusher starts a pusher, of which one reaches Postgres through PgBouncer.
func (o *outboxRun) pusher(i int) *harness.Process {
	self, err := os.Executable()
	if err != nil {
		o.t.Fatal(err)
	}
	url := []string{o.pooled, o.postgres.URL}[i]
	return o.StartWith([]string{outboxPlan + "=" + fmt.Sprint(i, " ", url, " ", o.Server.URL, " ",
		o.LedgerPath())}, self)
}

// kill kills a program, and starts it again.
func (o *outboxRun) kill(i int) {
	o.revive()
	k := i / 4 % 2
	switch i % 4 {
	case 0:
		o.pushers[k].Kill()
		o.pushers[k] = o.pusher(k)
	case 1:
		o.workers[k].Kill()
		o.workers[k] = o.worker(k)
	case 2:
		o.Server.Kill()
		<-time.After(rand.N(100 * time.Millisecond))
		o.Server.Restart()
	case 3:
		o.postgres.Stop()
		<-time.After(rand.N(100 * time.Millisecond))
		o.postgres.Restart()
	}
}

// revive starts workers again that could not start while a server was away, as systemd does.
func (o *outboxRun) revive() {
	for i, w := range o.workers {
		select {
		case <-w.Done:
			o.workers[i] = o.worker(i)
		default:
		}
	}
}

func (o *outboxRun) count(what string) (n int) {
	text := pgtest.Query(o.t, o.postgres.URL, "SELECT count(*)::text FROM "+what)
	fmt.Sscan(text, &n)
	return n
}

// check compares what was committed with what ran. It returns how many jobs started again.
func (o *outboxRun) check() (again int) {
	for what, query := range map[string]string{
		"jobs were lost": "committed WHERE id NOT IN (SELECT id FROM effects)",
		"effects are of jobs that were not committed": "effects WHERE id NOT IN " +
			"(SELECT id FROM committed)",
		"effects happened twice": "(SELECT id FROM effects GROUP BY id HAVING count(*) > 1) AS e",
	} {
		if n := o.count(query); n > 0 {
			o.t.Errorf("%d %s", n, what)
		}
	}
	if n := o.count("kyu_outbox WHERE error IS NOT NULL"); n > 0 {
		o.t.Errorf("%d rows are kept aside", n)
	}
	o.ledger.read(o.t)
	for id, n := range o.ledger.starts {
		if strings.HasPrefix(id, "back") {
			o.t.Errorf("%s ran, but its transaction was rolled back", id)
		}
		if n > 1 {
			again++
		}
	}
	return again
}

var errRollback = errors.New("this one is rolled back")

// pushThroughOutbox is a pusher. It commits or rolls back transactions until it is killed, also
// while Postgres or Redis is away. Half of the commits leave the push to the relays of workers.
func pushThroughOutbox(plan string) error {
	words := strings.Fields(plan)
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	var db *database.Database
	var store *queue.Store
	var err error
	for db == nil || store == nil {
		if db == nil {
			db, _ = database.Open(ctx, database.Config{URL: words[1]}, 5, log)
		}
		if store, err = queue.Open(ctx, queue.Config{URL: words[2]}); err != nil {
			<-time.After(20 * time.Millisecond)
		}
	}
	relay := outbox.New(outbox.Config{Pool: db.Pool(), Store: store, Logger: log})
	for i := 0; ; i++ {
		fate := []string{"plain", "relay", "back"}[rand.IntN(3)]
		id := fmt.Sprintf("%s-%s-%d-%d", fate, words[0], os.Getpid(), i)
		work := func(tx pgx.Tx) error { return pushSome(ctx, tx, words[3], id, fate) }
		if fate == "plain" {
			err = pgx.BeginFunc(ctx, db.Pool(), work)
		} else {
			err = relay.Tx(ctx, work)
		}
		pause := 5 * time.Millisecond
		if err != nil && !errors.Is(err, errRollback) {
			pause = 50 * time.Millisecond
		}
		<-time.After(pause)
	}
}

// pushSome pushes up to three jobs in a transaction that notes their ids.
func pushSome(ctx context.Context, tx pgx.Tx, ledger, id, fate string) error {
	for k := range 1 + rand.IntN(3) {
		each := fmt.Sprintf("%s-%d", id, k)
		if _, err := tx.Exec(ctx, "INSERT INTO committed (id) VALUES ($1)", each); err != nil {
			return err
		}
		_, err := outbox.Push(ctx, tx, "Test::Once", []any{ledger, each}, queue.Options{
			Queue: fourQueues[rand.IntN(4)], Retry: queue.RetryMax(25)})
		if err != nil {
			return err
		}
	}
	if fate == "back" {
		return errRollback
	}
	return nil
}
