package acceptance

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// migrate creates the tables with workerctl.
func migrate(s *harness.Site, url string) {
	s.Helper()
	s.Env = append(s.Env, "DATABASE_URL="+url)
	s.OK("not yet", "migrate", "status")
	s.OK("done: 0001_mastodon.sql, 0002_kyu.sql", "migrate")
	s.OK("nothing to do", "migrate", "up")
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	beside(t, "every thread has a connection, although DB_POOL is smaller", testConnections)
	beside(t, "a notification that Ruby pushes is stored", testNotification)
}

func testConnections(s *harness.Site) {
	url := pgtest.Start(s)
	w := s.WorkerWith([]string{"DATABASE_URL=" + url, "DB_POOL=3"}, "-c", "10")
	for range 10 {
		s.Push("Test::DB", []any{60_000}, queue.Options{})
	}
	s.Until(15*time.Second, "10 jobs hold 10 connections", func() bool {
		return pgtest.Query(s, url, "SELECT count(*)::text FROM pg_stat_activity WHERE query "+
			"LIKE 'SELECT pg_sleep%' AND state = 'active'") == "10"
	})
	s.Contains("log", w.Log(), "DB_POOL is smaller")
}

func testNotification(s *harness.Site) {
	url := pgtest.Start(s)
	migrate(s, url)
	pgtest.Exec(s, url, `INSERT INTO accounts (id, username) VALUES (10, 'bob'), (11, 'alice');
		INSERT INTO statuses (id, account_id) VALUES (7, 10);
		INSERT INTO mentions (id, account_id, status_id) VALUES (22, 11, 7)`)
	s.Ruby().Do(nil, `Sidekiq::Client.push("class" => "LocalNotificationWorker",
		"args" => [11, 22, "Mention", "mention", {}])`)
	s.StartWith([]string{"DATABASE_URL=" + url, "PREPARED_STATEMENTS=false"},
		harness.Program("worker"), "-c", "2")
	s.Until(15*time.Second, "the row is there", func() bool {
		return pgtest.Query(s, url, "SELECT count(*)::text FROM notifications WHERE "+
			"account_id = 11 AND from_account_id = 10 AND activity_id = 22") == "1"
	})
}
