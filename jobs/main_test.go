package jobs_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// pgx closes connections in the background, with a deadline of its own. The cache of
	// actors has a goroutine that never ends.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/golang-lru/v2/expirable.NewLRU[...].func1"))
}

// site is the fixture of the package: a Postgres with the tables, a Redis, and an HTTP
// client that may reach the loopback addresses. Subtests share one by With.
type site struct {
	*testing.T
	url   string
	db    *database.Database
	redis *redis.Client
	http  *jobs.HTTP
	log   *testwait.Log
	slog  *slog.Logger
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, url: pgtest.Start(t), log: &testwait.Log{}}
	s.slog = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := migrate.Up(t.Context(), s.url); err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), database.Config{URL: s.url}, 25, s.slog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s.db, s.redis = db, redistest.Start(t).Client()
	g, err := guard.New("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	s.http = jobs.NewHTTP(g, "Kyu/test (+https://home.example/)")
	t.Cleanup(s.http.Close)
	return s
}

// With is the same site for a subtest.
func (s *site) With(t *testing.T) *site {
	c := *s
	c.T = t
	return &c
}

// exec runs SQL.
func (s *site) exec(sql string, args ...any) {
	s.Helper()
	if _, err := s.db.Pool().Exec(s.Context(), sql, args...); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// count runs a query that gives one number.
func (s *site) count(sql string, args ...any) (n int) {
	s.Helper()
	if err := s.db.Pool().QueryRow(s.Context(), sql, args...).Scan(&n); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return n
}

// account makes a local account with a key, and returns the key.
func (s *site) account(id int, username string) *rsa.PrivateKey {
	s.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(key)})
	s.exec("INSERT INTO accounts (id, username, private_key) VALUES ($1, $2, $3)", id, username,
		string(text))
	return key
}

// outcome names what the error of a handler does to its job.
func outcome(err error) string {
	var steer *queue.Steer
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &steer):
		return map[queue.Action]string{queue.Schedule: "snooze", queue.Retry: "retry in",
			queue.Dead: "dead", queue.Done: "discard"}[steer.Action]
	}
	return "retry"
}

// run is the context in which the worker runs the job with this payload.
func run(t testing.TB, payload string, args ...any) context.Context {
	t.Helper()
	j, err := envelope.ParseJob(fmt.Sprintf(payload, args...))
	if err != nil {
		t.Fatal(err)
	}
	return queue.WithJob(t.Context(), j)
}
