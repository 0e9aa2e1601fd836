package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnitsOfDashboard(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	install := "install-units --dashboard --streams 2 --root " + root
	path := func(name string) string { return filepath.Join(root, "etc/kyu", name) }
	t.Run("are written without workers, with files that only root can read", func(t *testing.T) {
		out := s.of(t).ok("systemctl enable --now dashboard dashboard-stream@9293 "+
			"dashboard-stream@9294\n", install)
		for _, want := range []string{"dashboard.service", "dashboard-stream@.service",
			"dashboard.env.example", "dashboard adduser NAME --role admin --users " +
				path("dashboard_users"), "among the ports from 9293 to 9294"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, "worker.target") || strings.Contains(out, "POSTGRES") {
			t.Errorf("it is about workers too:\n%s", out)
		}
		for name, size := range map[string]int64{"dashboard_key": 45, "dashboard_users": 0,
			"dashboard_tokens": 0, "dashboard_oidc_secret": 0, "redis_url": 0} {
			info, err := os.Stat(path(name))
			if err != nil || info.Mode().Perm() != 0o600 || info.Size() != size {
				t.Errorf("%s: %v %v", name, info, err)
			}
		}
	})
	t.Run("keep their key", func(t *testing.T) {
		before, _ := os.ReadFile(path("dashboard_key"))
		s.of(t).ok("kept  "+path("dashboard_key"), install)
		if after, _ := os.ReadFile(path("dashboard_key")); string(after) != string(before) {
			t.Error("another key ends all sessions")
		}
	})
	t.Run("go with workers too", func(t *testing.T) {
		s.of(t).ok("enable --now worker.target worker@push dashboard\n",
			"install-units --dashboard --split push=5 --root "+t.TempDir())
	})
	t.Run("want the key of the pages for streams alone", func(t *testing.T) {
		other := t.TempDir()
		out := s.of(t).ok("dashboard_key from the machine of the pages",
			"install-units --streams 1 --root "+other)
		if _, err := os.Stat(filepath.Join(other, "etc/kyu/dashboard_users")); err == nil {
			t.Errorf("a stream needs no users:\n%s", out)
		}
	})
	t.Run("run as a user of the system", func(t *testing.T) {
		other := t.TempDir()
		s.of(t).ok("dashboard.service.d/user.conf", "install-units --dashboard --user mastodon "+
			"--root "+other)
		if _, err := os.Stat(filepath.Join(other, unitDir, "worker.service.d")); err == nil {
			t.Error("a call without workers changes their units")
		}
		s.of(t).ok("removed "+filepath.Join(other, unitDir, "dashboard.service.d/user.conf"),
			"uninstall-units --root "+other)
	})
	t.Run("have at least one process and at most 100", func(t *testing.T) {
		for _, n := range []string{"-1", "101"} {
			s.of(t).fails(2, "want 1 to 100 processes", "install-units --streams "+n)
		}
		s.of(t).fails(2, "--dashboard or --streams 2", "install-units --streams 0 --root "+root)
	})
	t.Run("name streams that are left", func(t *testing.T) {
		wants := filepath.Join(root, unitDir, "multi-user.target.wants")
		os.MkdirAll(wants, 0o755)
		os.Symlink("/dev/null", filepath.Join(wants, "dashboard-stream@9294.service"))
		s.of(t).ok("warning: dashboard-stream@9294 is still enabled",
			"install-units --streams 1 --root "+root)
		s.of(t).fails(2, "dashboard.env", "install-units --split dashboard=1 --root "+root)
	})
	t.Run("go", func(t *testing.T) {
		s.of(t).ok("removed "+filepath.Join(root, unitDir, "dashboard-stream@.service"),
			"uninstall-units --root "+root+" --purge --yes")
		if left, _ := filepath.Glob(filepath.Join(root, unitDir, "*.service")); len(left) > 0 {
			t.Error(left)
		}
	})
}
