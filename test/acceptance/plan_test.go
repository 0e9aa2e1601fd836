package acceptance

import (
	"regexp"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	beside(t, "says whether the connections are enough, or how many are missing", testPlanSums)
	beside(t, "prints settings for PgBouncer and systemd that can be used", testPlanSettings)
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
	s.OK(`"Left": `, "plan", "--json")
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
