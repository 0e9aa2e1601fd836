package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	beside(t, "says whether the connections are enough, or how many are missing", testPlanSums)
	beside(t, "prints settings for PgBouncer and systemd that can be used", testPlanSettings)
	beside(t, "prints steps for PgBouncer that work with SCRAM", func(s *harness.Site) {
		testPlanPooler(s, "scram-sha-256")
	})
	beside(t, "prints steps for PgBouncer that work with MD5", func(s *harness.Site) {
		testPlanPooler(s, "md5")
	})
	beside(t, "refuses numbers that make no sense", testPlanMistakes)
}

func testPlanSums(s *harness.Site) {
	s.OK("13 x 0.5 s / 0.7 = 9.3", "plan")
	out := s.OK("25 x 0.4 s / 0.5 = 20.0", "plan",
		"--rate", "default=20,push=25,mailers=0.2,pull=7", "--mean", "push=400ms",
		"--utilisation", "0.5", "--web", "2x5", "--streaming", "1x10")
	for _, want := range []string{`worker -c 20 -q push +\(DB_POOL=20\) +20\n`,
		`max_connections 100 - 3 reserved = 97; 10 of them stay free`,
		`workers 47 \+ web 2 x 5 = 10 \+ streaming 1 x 10 = 10, in all 67\n`,
		`\n  20 connections are left`} {
		if !regexp.MustCompile(want).MatchString(out) {
			s.Errorf("no %q in\n%s", want, out)
		}
	}
	s.OK("that is 17 too many", "plan", "--rate", "push=100", "--mean", "push=500ms",
		"--web", "2x5")
	s.OK(`"left": `, "plan", "--json")
}

func testPlanSettings(s *harness.Site) {
	s.OK("default_pool_size = 87, max_client_conn = 150", "plan", "--rate", "push=100",
		"--mean", "push=500ms", "--web", "2x5", "--pooler")
	s.OK("pool_mode = transaction\ndefault_pool_size = ", "plan", "--pooler", "--pgbouncer-ini")
	s.OK("--split default=5,push=36,push-2=36,mailers=5,pull=12", "plan",
		"--rate", "push=100", "--units")
	units := s.OK("install-units", "plan", "--units")
	split := regexp.MustCompile(`--split (\S+)`).FindStringSubmatch(units)
	s.OK("wrote", "install-units", "--split", split[1], "--root", s.TempDir())
}

func testPlanMistakes(s *harness.Site) {
	for _, args := range [][]string{{"--rate", "push=fast"}, {"--rate", "push=-1"},
		{"--mean", "push=1"}, {"--utilisation", "0"}, {"--utilisation", "1.5"}, {"--cores", "0"},
		{"--web", "5"}, {"--pgbouncer-ini"}, {"more"}} {
		s.Exits(2, "", append([]string{"plan"}, args...)...)
	}
}

// testPlanPooler follows the steps that plan prints for PgBouncer.
func testPlanPooler(s *harness.Site, encryption string) {
	hba := filepath.Join(s.TempDir(), "hba.conf")
	s.Must(os.WriteFile(hba, []byte("host all mastodon 127.0.0.1/32 "+encryption+"\n"+
		"host all all 127.0.0.1/32 trust\nlocal all all trust\n"), 0o644))
	openFolders(s, filepath.Dir(hba))
	cluster := pgtest.StartCluster(s, "hba_file="+hba, "password_encryption="+encryption)
	pgtest.Exec(s, cluster.URL, "CREATE ROLE mastodon LOGIN PASSWORD 'seed'")
	pgtest.Exec(s, cluster.URL, "CREATE DATABASE mastodon_production OWNER mastodon")
	ini := s.OK("auth_file", "plan", "--pooler", "--pgbouncer-ini")
	query := regexp.MustCompile(`(?s)psql -Atc "(.*?)" \|`).FindStringSubmatch(ini)[1]
	query = strings.ReplaceAll(strings.ReplaceAll(query, "\n;", "\n"), `\"`, `"`)
	port := redistest.FreePort(s)
	for from, to := range map[string]string{"port=5432": fmt.Sprintf("port=%d", cluster.Port),
		"= 6432": fmt.Sprintf("= %d", port), "/etc/pgbouncer/userlist.txt": "AUTH_FILE",
		"[pgbouncer]\n": "[pgbouncer]\nunix_socket_dir =\n"} {
		ini = strings.ReplaceAll(ini, from, to)
	}
	url := func(port int) string {
		return fmt.Sprintf("postgres://mastodon:seed@127.0.0.1:%d/mastodon_production", port)
	}
	pgtest.RunPooler(s, ini, pgtest.Query(s, cluster.URL, query), url(port))
	env := []string{"REDIS_URL=" + s.Server.URL, "DATABASE_URL=" + url(port),
		"DIRECT_DATABASE_URL=" + url(cluster.Port)}
	out, err := run(env, "worker", "--check", "-q", "default")
	if err != nil {
		s.Errorf("worker --check: %v\n%s", err, out)
	}
	out, _ = run(env, "workerctl", "doctor", "--web", "2x5", "--streaming", "1x10")
	s.Contains("doctor", out, "mastodon_production: transaction mode")
	s.Contains("doctor", out, "max_client_conn is")
}
