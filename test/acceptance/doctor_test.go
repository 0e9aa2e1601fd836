package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	beside(t, "finds no fault in a healthy system", testHealthy, "--appendonly", "yes",
		"--maxmemory", "512mb")
	beside(t, "names the faults of Redis and of queues", testFaultyRedis, "--maxmemory-policy",
		"allkeys-lru", "--maxmemory", "100mb")
	beside(t, "adds the connections of all programs", testSums, "--appendonly", "yes")
	beside(t, "reads the settings of PgBouncer", testPooler, "--appendonly", "yes")
	beside(t, "names a replica that has stopped", testStoppedReplica, "--appendonly", "yes")
}

// says runs doctor, which must end with an exit code, and print text that matches each pattern.
func says(s *harness.Site, code int, patterns []string, args ...string) string {
	s.Helper()
	out := s.Exits(code, "", append([]string{"doctor"}, args...)...)
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(out) {
			s.Errorf("doctor prints no %q in\n%s", p, out)
		}
	}
	return out
}

// serve starts a worker with the site's environment and waits until n processes are registered.
func serve(s *harness.Site, args ...string) {
	s.Helper()
	s.StartWith(s.Env, harness.Program("worker"), args...)
	registered(s, 1)
}

// registered waits until n processes are registered.
func registered(s *harness.Site, n int) {
	s.Helper()
	s.Until(20*time.Second, "the processes are registered", func() bool {
		list, err := inspect.New(s.Store).Processes(s.Context())
		return err == nil && len(list) == n
	})
}

// cacheRedis starts a Redis for a cache, and returns its URL.
func cacheRedis(s *harness.Site) string {
	return redistest.Start(s, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").URL
}

func testHealthy(s *harness.Site) {
	primary := pgtest.StartCluster(s, "max_connections=50")
	replica := primary.Replica()
	s.Env = []string{"DATABASE_URL=" + primary.URL, "REPLICA_DATABASE_URL=" + replica.URL,
		"CACHE_REDIS_URL=" + cacheRedis(s)}
	serve(s, "-c", "10", "-q", "default", "-q", "push")
	out := says(s, 0, []string{`^good +redis +version 7`, `does not evict`, `append-only`,
		`cache and queues are on servers of their own`, `evicts \(allkeys-lru\)`,
		`has 10 threads and a pool of 10`,
		`all pools may open 30 connections \(10 \+ 10 \+ 10\); ` +
			`max_connections 50 less 3 reserved leaves 47`,
		`^good +replica .* behind`},
		"--web", "2x5", "--streaming", "1x10")
	if strings.Contains(out, "warning") || strings.Contains(out, "wrong") {
		s.Error(out)
	}
	var findings []struct{ Level, About, Text, Remedy string }
	text := s.OK("", "doctor", "--json", "--web", "2x5")
	s.Must(json.Unmarshal([]byte(text), &findings))
	if len(findings) < 8 || findings[0].Level != "good" {
		s.Errorf("want at least 8 findings, the first of level good, in %s", text)
	}
}

func testFaultyRedis(s *harness.Site) {
	s.Env = []string{"REDIS_URL=" + s.Server.Admin} // this user may read the configuration
	says(s, 2, []string{`^wrong +redis +it evicts \(allkeys-lru\)`,
		`→ CONFIG SET maxmemory-policy noeviction`, `^wrong +redis +it keeps nothing on disk`,
		`^warning +redis +cache and queues share one server`,
		`^warning +processes +no process runs`, `^warning +postgres +none is configured`})
	s.Raw.ConfigSet(s.Context(), "maxmemory-policy", "noeviction")
	s.Raw.ConfigSet(s.Context(), "save", "3600 1")
	says(s, 1, []string{`^warning +redis +it only makes snapshots`})
	s.Push("Test::NoOp", nil, queue.Options{Queue: "forgotten"})
	s.Push("Test::NoOp", nil, queue.Options{Queue: "resting"})
	s.OK("", "queue", "resting", "--pause")
	says(s, 2, []string{`^wrong +queues +forgotten: 1 jobs, .* and no process serves it`,
		`→ start one: worker -q forgotten`, `^warning +queues +resting: .* paused`})
	s.Env = []string{"SIDEKIQ_REDIS_URL=redis://127.0.0.1:1"}
	says(s, 2, []string{`^wrong +redis .*127.0.0.1:1`})
	for _, args := range [][]string{{"--web", "two"}, {"--env-file", "/nowhere"}, {"extra"}} {
		if out := says(s, 2, nil, args...); strings.Contains(out, "wrong  ") {
			s.Errorf("with the mistake %v it examines: %s", args, out)
		}
	}
}

func testSums(s *harness.Site) {
	c := pgtest.StartCluster(s, "max_connections=20")
	s.Env = []string{"DATABASE_URL=" + c.URL}
	serve(s, "-c", "10")
	says(s, 1, []string{`^warning +postgres +web and streaming processes are not counted`})
	says(s, 1, []string{`^warning +postgres +all pools may open 16 connections \(10 \+ 6\); ` +
		`max_connections 20 less 3`, `leave a tenth`}, "--web", "2x3")
	says(s, 2, []string{`^wrong +postgres .* 30 connections .*they cannot fit`,
		`→ .*PgBouncer in transaction mode`}, "--web", "2x5", "--streaming", "1x10")
	// A Ruby process does not publish its pool. The environment file of its unit names it.
	s.Sidekiq("-c", "7", "-q", "mailers")
	registered(s, 2)
	file := filepath.Join(s.Dir, "env")
	s.Must(os.WriteFile(file, []byte("# Mastodon\nexport DB_POOL='5'\nWEB_CONCURRENCY=1\n"+
		"MAX_THREADS=1\n"), 0o600))
	says(s, 2, []string{`^wrong +processes .* has 7 threads and a pool of 5`, `→ set DB_POOL=7`},
		"--env-file", file)
}

func testPooler(s *harness.Site) {
	c := pgtest.StartCluster(s, "max_connections=20")
	pooled, _ := c.Pooler("default_pool_size = 5")
	s.Env = []string{"DATABASE_URL=" + pooled, "DIRECT_DATABASE_URL=" + c.URL}
	serve(s, "-c", "10")
	says(s, 1, []string{`^good +pgbouncer +postgres: transaction mode, 5 connections`,
		`^good +pgbouncer +all pools may open 10 connections \(10\); max_client_conn is 500`,
		`^good +postgres +PgBouncer may open 5 of 17`})
	s.Env = append(s.Env, "PREPARED_STATEMENTS=true")
	says(s, 1, []string{`^warning +pgbouncer +PREPARED_STATEMENTS=true behind a pooler`})
	session, _ := c.Pooler("pool_mode = session", "default_pool_size = 5", "max_client_conn = 8")
	s.Env = []string{"DATABASE_URL=" + session, "DIRECT_DATABASE_URL=" + c.URL}
	says(s, 2, []string{`^wrong +pgbouncer +postgres: session mode: .* 10 connections ` +
		`\(10\), and it gives 5`,
		`→ pool_mode = transaction`, `^wrong +pgbouncer .* max_client_conn is 8`})
	large, _ := c.Pooler("default_pool_size = 30")
	s.Env = []string{"DATABASE_URL=" + large, "DIRECT_DATABASE_URL=" + c.URL}
	says(s, 2, []string{`^wrong +postgres +PgBouncer may open 30 connections`})
	s.Env = []string{"DATABASE_URL=" + strings.Replace(pooled, "/postgres", "/nothing", 1)}
	says(s, 2, []string{`^wrong +postgres +cannot use Postgres`})
	s.Env = []string{"DATABASE_URL=" + pooled}
	says(s, 1, []string{`^warning +pgbouncer +the admin console of 127.0.0.1:\d+ cannot be ` +
		`reached`}, "--pgbouncer", "postgres://kyu@127.0.0.1:1/pgbouncer")
}

func testStoppedReplica(s *harness.Site) {
	c := pgtest.StartCluster(s)
	pgtest.Exec(s, c.URL, "CREATE TABLE x (i int)")
	replica, slow := c.Replica(), c.Replica("recovery_min_apply_delay=1h")
	s.Env = []string{"DATABASE_URL=" + c.URL, "REPLICA_MAX_LAG=1",
		"REPLICA_DATABASE_URL=" + replica.URL + "," + c.URL + "," + slow.URL +
			",postgres://kyu@127.0.0.1:1/postgres"}
	pgtest.Exec(s, replica.URL, "SELECT pg_wal_replay_pause()")
	pgtest.Exec(s, c.URL, "INSERT INTO x VALUES (1)")
	says(s, 2, []string{`^wrong +replica .* has stopped replaying`,
		`→ SELECT pg_wal_replay_resume\(\)`, `^wrong +replica .* is not a replica`,
		`^wrong +replica .*127.0.0.1:1 does not answer`, `^wrong +replica .* behind, more than 1s`})
}
