package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/harness"
	"github.com/kyujobs/kyu/internal/pgtest"
	"github.com/kyujobs/kyu/queue"
)

// migrate creates the tables, by the operator's tool.
func migrate(s *harness.Site, url string) {
	s.Helper()
	cmd := exec.Command(filepath.Join(harness.Bin, "workerctl"), "migrate")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "0001_notifications.sql") {
		s.Fatalf("migrate: %v %s", err, out)
	}
}

func TestEveryThreadHasADatabaseConnection(t *testing.T) {
	s := harness.New(t)
	url := pgtest.Start(t)
	migrate(s, url)
	w := s.Start("env", "DATABASE_URL="+url, "DB_POOL=3", filepath.Join(harness.Bin, "worker"), "--test-jobs", "-c", "10")
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
		conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'").Scan(&n)
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
	s.Ruby().Do(nil, `Sidekiq::Client.push("class" => "LocalNotificationWorker", "args" => [11, 22, "Mention", "mention", {}])`)
	s.Start("env", "DATABASE_URL="+url, "PREPARED_STATEMENTS=false", filepath.Join(harness.Bin, "worker"), "-c", "2")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	s.Until(15*time.Second, "the row is there", func() bool {
		var n int
		conn.QueryRow(t.Context(), "SELECT count(*) FROM kyu_notifications WHERE account_id = 11 AND activity_id = 22").Scan(&n)
		return n == 1
	})
}
