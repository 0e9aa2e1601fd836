package dashboard_test

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// with are the options of a dashboard that knows servers of Postgres.
func with(p dashboard.Postgres) func(*dashboard.Options) {
	return func(o *dashboard.Options) { o.Postgres = p }
}

func TestPostgresPage(t *testing.T) {
	f := newFixture(t)
	t.Run("says what to set if there is none", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/postgres", "Postgres", "Postgres")
		f.has(f.get("/postgres", 200), "Set DATABASE_URL", "--database-url", "pg_monitor")
		var x struct{ Configured bool }
		f.api("/postgres", &x)
		same(t, "configured", x.Configured, false)
	})
	url := pgtest.Start(t)
	pgtest.Exec(t, url, "CREATE TABLE statuses AS SELECT generate_series(1, 1000) AS id")
	f.process("web1:1:abc", fields{"hostname": "web1", "pid": 1, "concurrency": 25,
		"queues": []string{"a"}}, "{}")
	t.Run("compares connections with limits", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(with(dashboard.Postgres{Config: database.Config{URL: url}, Web: "2x5"}))
		f.has(f.get("/postgres", 200), "web1:1:abc (a)", "web 2 x 5", "35", "max_connections",
			"public.statuses", "all pools may open 35 connections (25", "Primary ")
		var x struct {
			Findings []struct{ Level string }
			Pools    []struct{ Connections int }
			Servers  []struct{ Most, Used int }
		}
		f.api("/postgres", &x)
		if len(x.Pools) != 2 || len(x.Servers) != 1 || x.Servers[0].Most < 10 ||
			x.Findings[0].Level != "good" {
			t.Errorf("%+v", x)
		}
	})
	t.Run("says that pools do not fit", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(with(dashboard.Postgres{Config: database.Config{URL: url}, Web: "200x5"}))
		f.has(f.get("/postgres", 200), "they cannot fit", "wrong")
	})
	t.Run("shows no password", func(t *testing.T) {
		f := f.sub(t)
		secret := strings.Replace(url, "@", ":very-secret@", 1)
		f.d = f.open(with(dashboard.Postgres{Config: database.Config{URL: secret}}))
		f.lacks(f.get("/postgres", 200)+f.get("/api/v1/postgres", 200), "very-secret")
	})
	t.Run("says that a server does not answer", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(with(dashboard.Postgres{Config: database.Config{
			URL: "postgres://kyu:very-secret@127.0.0.1:1/x", Replicas: []string{
				"postgres://kyu:very-secret@127.0.0.1:2/x"}}}))
		page := f.get("/postgres", 200)
		f.has(page, "wrong", "127.0.0.1:1", "127.0.0.1:2 does not answer")
		f.lacks(page, "very-secret")
	})
}

func TestPostgresReplica(t *testing.T) {
	primary := pgtest.StartCluster(t)
	replica := primary.Replica()
	f := newFixture(t, with(dashboard.Postgres{Config: database.Config{URL: primary.URL,
		Replicas: []string{replica.URL}}}))
	page := f.get("/postgres", 200)
	f.has(page, "Primary ", "Replica ", " behind")
	var x struct{ Servers []struct{ Replica bool } }
	f.api("/postgres", &x)
	if len(x.Servers) != 2 || x.Servers[0].Replica || !x.Servers[1].Replica {
		t.Errorf("%+v", x)
	}
}
