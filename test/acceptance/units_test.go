package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	beside(t, "workerctl installs, checks, keeps and removes them", testInstallUnits)
	beside(t, "workerctl refuses a split that makes no sense", testSplitMistakes)
	t.Run("systemd gives them an exposure of 1.1 at most", testExposure)
}

func testInstallUnits(s *harness.Site) {
	root := s.TempDir()
	file := func(path string) string {
		s.Helper()
		b, err := os.ReadFile(filepath.Join(root, path))
		s.Must(err)
		return string(b)
	}
	out := s.OK("checked by systemd-analyze verify", "install-units",
		"--split", "default=15,push=25,push-2=25,mailers=5,pull=10", "--root", root)
	if !regexp.MustCompile(`in all +80 +80\n`).MatchString(out) {
		s.Errorf("no sum of threads and connections in\n%s", out)
	}
	s.Contains("next step", out, "systemctl enable --now worker.target worker@default "+
		"worker@push worker@push-2")
	s.Contains("push-2.env", file("etc/kyu/push-2.env"), "WORKER_ARGS=-c 25\nDB_POOL=25\n")
	info, err := os.Stat(filepath.Join(root, "etc/kyu/redis_url"))
	s.Must(err)
	s.Equal("mode of redis_url", info.Mode().Perm(), os.FileMode(0o600))
	// A file that an admin has changed is kept.
	const changed = "WORKER_ARGS=-c 7\n"
	s.Must(os.WriteFile(filepath.Join(root, "etc/kyu/push.env"), []byte(changed), 0o644))
	s.OK(`push.env: WORKER_ARGS="-c 7"; this call would write -c 25`, "install-units", "--split",
		"push=25", "--root", root)
	s.Must(os.WriteFile(filepath.Join(root, "etc/kyu/push.env"), []byte("WORKER_ARGS=-c 0\n"),
		0o644))
	s.Exits(2, "worker@push would not start", "install-units", "--split", "push=25", "--root", root)
	s.Must(os.WriteFile(filepath.Join(root, "etc/kyu/push.env"), []byte(changed), 0o644))
	s.Equal("push.env after the second installation", file("etc/kyu/push.env"), changed)
	s.OK("--purge removes it too", "uninstall-units", "--root", root)
	s.Equal("push.env after uninstall-units", file("etc/kyu/push.env"), changed)
	s.OK("removed", "uninstall-units", "--root", root, "--purge", "--yes")
	s.Must(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			s.Errorf("left after --purge: %s", path)
		}
		return err
	}))
}

func testSplitMistakes(s *harness.Site) {
	for _, split := range []string{"push", "push=0", "push=many", "a b=1", "push=1,push=2", ""} {
		s.Exits(2, "--split", "install-units", "--split", split, "--root", s.TempDir())
	}
}

func testExposure(t *testing.T) {
	for _, unit := range []string{"worker.service", "worker@.service", "dashboard.service",
		"dashboard-stream@.service"} {
		path := filepath.Join(harness.Root(), "deploy/systemd", unit)
		b, err := exec.Command("systemd-analyze", "security", "--offline=true",
			"--no-pager", path).CombinedOutput()
		out := strings.TrimSpace(string(b))
		m := regexp.MustCompile(`Overall exposure level for \S+: ([\d.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 1.1 {
			t.Errorf("%s: exposure %s, want at most 1.1", unit, m[1])
		}
	}
}
