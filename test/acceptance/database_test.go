package acceptance

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// migrate creates the tables, by the operator's tool.
func migrate(s *harness.Site, url string) {
	s.Helper()
	s.Helper()
	s.Env = append(s.Env, "DATABASE_URL="+url)
	s.OK("not yet", "migrate", "status")
	s.OK("done: 0001_mastodon.sql, 0002_kyu.sql", "migrate")
	s.OK("nothing to do", "migrate", "up")
}

func TestEveryThreadHasADatabaseConnection(t *testing.T) {
	s := harness.New(t)
	url := pgtest.Start(t)
	migrate(s, url)
	w := s.WorkerWith([]string{"DATABASE_URL=" + url, "DB_POOL=3"}, "-c", "10")
	for range 10 {
		s.Push("Test::DB", []any{60_000}, queue.Options{})
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	s.Until(15*time.Second, "10 jobs hold 10 connections", func() bool {
		var n int
		conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "+
			"'SELECT pg_sleep%' AND state = 'active'").Scan(&n)
		return n == 10
	})
	if !w.Says("DB_POOL is smaller") {
		t.Error("raising the pool is not said")
	}
}

func TestANotificationPushedByRubyIsStored(t *testing.T) {
	s := harness.New(t)
	url := pgtest.Start(t)
	migrate(s, url)
	pgtest.Exec(t, url, `INSERT INTO accounts (id, username) VALUES (10, 'bob'), (11, 'alice');
		INSERT INTO statuses (id, account_id) VALUES (7, 10);
		INSERT INTO mentions (id, account_id, status_id) VALUES (22, 11, 7)`)
	s.Ruby().Do(nil, `Sidekiq::Client.push("class" => "LocalNotificationWorker",
		"args" => [11, 22, "Mention", "mention", {}])`)
	s.Start("env", "DATABASE_URL="+url, "PREPARED_STATEMENTS=false",
		filepath.Join(harness.Bin, "worker"), "-c", "2")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	s.Until(15*time.Second, "the row is there", func() bool {
		var n int
		conn.QueryRow(t.Context(), "SELECT count(*) FROM notifications WHERE account_id = 11 AND "+
			"from_account_id = 10 AND activity_id = 22").Scan(&n)
		return n == 1
	})
}
