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

// says runs doctor, which must end with code, and find what matches each pattern.
func says(s *harness.Site, code int, patterns []string, args ...string) string {
	s.Helper()
	out, got := s.Ctl("", append([]string{"doctor"}, args...)...)
	if got != code {
		s.Errorf("doctor %v: exit code %d, want %d\n%s", args, got, code, out)
	}
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(out) {
			s.Errorf("doctor does not say %q in\n%s", p, out)
		}
	}
	return out
}

// serve starts a worker on the site's Postgres, and waits until it is known.
func serve(s *harness.Site, args ...string) *harness.Process {
	s.Helper()
	w := s.StartWith(s.Env, filepath.Join(harness.Bin, "worker"), args...)
	s.Until(15*time.Second, "the worker is known", func() bool {
		list, err := inspect.New(s.Store).Processes(s.Context())
		return err == nil && len(list) > 0
	})
	return w
}

func TestDoctorFindsNothingWrongWithAHealthySystem(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes", "--maxmemory", "512mb")
	primary := pgtest.StartCluster(t, "max_connections=50")
	replica := primary.Replica()
	s.Env = []string{"DATABASE_URL=" + primary.URL, "REPLICA_DATABASE_URL=" + replica.URL,
		"CACHE_REDIS_URL=" + redistest.Start(t).URL}
	serve(s, "-c", "10", "-q", "default", "-q", "push")
	out := says(s, 0, []string{`^good +redis +version 7`, `does not evict`, `append-only`,
		`cache and queues are on servers of their own`,
		`has 10 threads and a pool of 10`,
		`all pools may open 30 connections \(10 \+ 10 \+ 10\); ` +
			`max_connections 50 less 3 reserved leaves 47`,
		`^good +replica .* behind`},
		"--web", "2x5", "--streaming", "1x10")
	if strings.Contains(out, "warning") || strings.Contains(out, "wrong") {
		t.Error(out)
	}
	var findings []struct{ Level, About, Text, Remedy string }
	text, code := s.Ctl("", "doctor", "--json", "--web", "2x5")
	if err := json.Unmarshal([]byte(text), &findings); err != nil || code != 0 ||
		len(findings) < 8 || findings[0].Level != "good" {
		t.Errorf("%d %v %s", code, err, text)
	}
}

func TestDoctorNamesWhatIsWrongWithRedis(t *testing.T) {
	s := harness.New(t, "--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb")
	s.Env = []string{"REDIS_URL=" + s.Server.Admin} // one who may ask for its configuration
	says(s, 2, []string{`^wrong +redis +it evicts \(allkeys-lru\)`,
		`→ CONFIG SET maxmemory-policy noeviction`, `^wrong +redis +it keeps nothing on disk`,
		`^warning +redis +cache and queues share one server`,
		`^warning +processes +no process runs`, `^warning +postgres +none is configured`})
	s.Raw.ConfigSet(t.Context(), "maxmemory-policy", "noeviction")
	s.Raw.ConfigSet(t.Context(), "save", "3600 1")
	says(s, 1, []string{`^warning +redis +it only makes snapshots`})
	s.Push("Test::NoOp", nil, queue.Options{Queue: "forgotten"})
	s.Push("Test::NoOp", nil, queue.Options{Queue: "resting"})
	s.OK("", "queue", "resting", "--pause")
	says(s, 2, []string{`^wrong +queues +forgotten: 1 jobs, .* and no process serves it`,
		`→ start one: worker -q forgotten`, `^warning +queues +resting: .* paused`})
	s.Env = []string{"SIDEKIQ_REDIS_URL=redis://127.0.0.1:1"}
	says(s, 2, []string{`^wrong +redis .*127.0.0.1:1`})
	for _, args := range [][]string{{"--web", "two"}, {"--env-file", "/nowhere"}, {"extra"}} {
		if out, code := s.Ctl("", append([]string{"doctor"}, args...)...); code != 2 ||
			strings.Contains(out, "wrong  ") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}

func TestDoctorAddsConnectionsUp(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes")
	c := pgtest.StartCluster(t, "max_connections=20")
	s.Env = []string{"DATABASE_URL=" + c.URL}
	serve(s, "-c", "10")
	says(s, 1, []string{`^warning +postgres +web and streaming processes are not counted`})
	says(s, 1, []string{`^warning +postgres +all pools may open 16 connections \(10 \+ 6\); ` +
		`max_connections 20 less 3`, `leave a tenth`}, "--web", "2x3")
	says(s, 2, []string{`^wrong +postgres .* 30 connections .*they cannot fit`,
		`→ .*PgBouncer in transaction mode`}, "--web", "2x5", "--streaming", "1x10")
	// A Ruby process does not say its pool: the environment file of its unit does.
	s.Sidekiq("-c", "7", "-q", "mailers")
	s.Until(20*time.Second, "Sidekiq is known", func() bool {
		list, _ := inspect.New(s.Store).Processes(t.Context())
		return len(list) == 2
	})
	file := filepath.Join(s.Dir, "env")
	os.WriteFile(file, []byte("# Mastodon\nexport DB_POOL='5'\nWEB_CONCURRENCY=1\nMAX_THREADS=1\n"),
		0o600)
	says(s, 2, []string{`^wrong +processes .* has 7 threads and a pool of 5`, `→ set DB_POOL=7`},
		"--env-file", file)
}

func TestDoctorLooksBehindThePooler(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes")
	c := pgtest.StartCluster(t, "max_connections=20")
	pooled, _ := c.Pooler("default_pool_size = 5")
	s.Env = []string{"DATABASE_URL=" + pooled, "DIRECT_DATABASE_URL=" + c.URL}
	serve(s, "-c", "10")
	says(s, 1, []string{`^good +pgbouncer +transaction mode, 5 connections`,
		`^good +pgbouncer +all pools may open 10 connections \(10\); max_client_conn is 500`,
		`^good +postgres +PgBouncer may open 5 of 17`})
	s.Env = append(s.Env, "PREPARED_STATEMENTS=true")
	says(s, 1, []string{`^warning +pgbouncer +PREPARED_STATEMENTS=true behind a pooler`})
	session, _ := c.Pooler("pool_mode = session", "default_pool_size = 5", "max_client_conn = 8")
	s.Env = []string{"DATABASE_URL=" + session, "DIRECT_DATABASE_URL=" + c.URL}
	says(s, 2, []string{`^wrong +pgbouncer +session mode: .* 10 connections \(10\), and it gives 5`,
		`→ pool_mode = transaction`, `^wrong +pgbouncer .* max_client_conn is 8`})
	large, _ := c.Pooler("default_pool_size = 30")
	s.Env = []string{"DATABASE_URL=" + large, "DIRECT_DATABASE_URL=" + c.URL}
	says(s, 2, []string{`^wrong +postgres +PgBouncer may open 30 connections`})
	s.Env = []string{"DATABASE_URL=" + strings.Replace(pooled, "/postgres", "/nothing", 1)}
	says(s, 2, []string{`^wrong +postgres +cannot use Postgres`})
	s.Env = []string{"DATABASE_URL=" + pooled}
	says(s, 1, []string{`^warning +pgbouncer +its admin console cannot be reached`}, "--pgbouncer",
		"postgres://kyu@127.0.0.1:1/pgbouncer")
}

func TestDoctorNamesAReplicaThatHasStopped(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes")
	c := pgtest.StartCluster(t)
	pgtest.Exec(t, c.URL, "CREATE TABLE x (i int)")
	replica, slow := c.Replica(), c.Replica("recovery_min_apply_delay=1h")
	s.Env = []string{"DATABASE_URL=" + c.URL, "REPLICA_MAX_LAG=1",
		"REPLICA_DATABASE_URL=" + replica.URL + "," + c.URL + "," + slow.URL +
			",postgres://kyu@127.0.0.1:1/postgres"}
	pgtest.Exec(t, replica.URL, "SELECT pg_wal_replay_pause()")
	pgtest.Exec(t, c.URL, "INSERT INTO x VALUES (1)")
	says(s, 2, []string{`^wrong +replica .* has stopped replaying`,
		`→ SELECT pg_wal_replay_resume\(\)`, `^wrong +replica .* is not a replica`,
		`^wrong +replica .*127.0.0.1:1 does not answer`, `^wrong +replica .* behind, more than 1s`})
}

func TestPlanFitsOrSaysByHowMuchItDoesNot(t *testing.T) {
	s := harness.New(t)
	s.OK("13 x 0.5 s / 0.7 = 9.3", "plan")
	out := s.OK("25 x 0.4 s / 0.5 = 20.0", "plan",
		"--rate", "default=20,push=25,mailers=0.2,pull=7", "--mean", "push=400ms",
		"--utilisation", "0.5", "--web", "2x5", "--streaming", "1x10")
	for _, want := range []string{`worker -c 20 -q push +\(DB_POOL=20\) +20\n`,
		`max_connections 100 - 3 reserved = 97; 10 of them stay free`,
		`workers 47 \+ web 2 x 5 = 10 \+ streaming 1 x 10 = 10, in all 67\n`,
		`\n  20 connections are left`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s.OK("that is 17 too many", "plan", "--rate", "push=100", "--mean", "push=500ms",
		"--web", "2x5")
	s.OK("default_pool_size = 87, max_client_conn = 150", "plan", "--rate", "push=100",
		"--mean", "push=500ms", "--web", "2x5", "--pooler")
	s.OK("--split default=5,push=36,push-2=36,mailers=5,pull=12", "plan",
		"--rate", "push=100", "--units")
	s.OK("pool_mode = transaction\ndefault_pool_size = ", "plan", "--pooler", "--pgbouncer-ini")
	s.OK(`"Left": `, "plan", "--json")
	for _, args := range [][]string{{"--rate", "push=fast"}, {"--rate", "push=-1"},
		{"--mean", "push=1"}, {"--utilisation", "0"}, {"--utilisation", "1.5"}, {"--cores", "0"},
		{"--web", "5"}, {"--pgbouncer-ini"}, {"more"}} {
		if out, code := s.Ctl("", append([]string{"plan"}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d\n%s", args, code, out)
		}
	}
	// What plan prints for systemd can be run.
	units := s.OK("install-units", "plan", "--units")
	split := regexp.MustCompile(`--split (\S+)`).FindStringSubmatch(units)
	s.OK("wrote", "install-units", "--split", split[1], "--root", t.TempDir())
}
