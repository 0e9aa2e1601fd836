package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnits(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	install := "install-units --root " + root + " --split push=25,push-2=5"
	remove := "uninstall-units --root " + root
	file := func(path string) string {
		b, _ := os.ReadFile(filepath.Join(root, path))
		return string(b)
	}
	t.Run("are written with settings for each instance", func(t *testing.T) {
		s.of(t).ok("systemctl enable --now worker.target worker@push worker@push-2", install)
		if file("etc/systemd/system/worker@.service") == "" || file("etc/kyu/push-2.env") !=
			"# Of worker@push-2. Written by workerctl install-units; yours to change.\n"+
				"WORKER_ARGS=-c 5\nDB_POOL=5\n" {
			t.Error("not written")
		}
	})
	t.Run("run as a user of the system", func(t *testing.T) {
		s.of(t).ok("worker@.service.d/user.conf", install+" --user mastodon")
		for _, unit := range []string{"worker@.service", "worker.service"} {
			text := file("etc/systemd/system/" + unit + ".d/user.conf")
			if !strings.Contains(text, "DynamicUser=no\nUser=mastodon\n") {
				t.Errorf("%s: %q", unit, text)
			}
		}
		for _, user := range []string{"root", "a b", "x\nExecStart=/bin/sh"} {
			_, errs, code := s.of(t).run("install-units", "--split", "push=1", "--root", root,
				"--user", user)
			if code != 2 || !strings.Contains(errs, "want a user of the system") {
				t.Errorf("%q: exit code %d, %s", user, code, errs)
			}
		}
	})
	t.Run("go without the settings", func(t *testing.T) {
		s.of(t).ok("--purge removes it too", remove)
		if file("etc/systemd/system/worker@.service") != "" || file("etc/kyu/push.env") == "" ||
			file("etc/systemd/system/worker@.service.d/user.conf") != "" {
			t.Error("units are left, or settings are gone")
		}
	})
	t.Run("go with the settings after a yes", func(t *testing.T) {
		s.of(t).fails(1, "nothing was done", remove+" --purge")
		s.of(t).ok("removed "+root+"/etc/kyu", remove+" --purge --yes")
		if _, err := os.Stat(filepath.Join(root, "etc/kyu")); !os.IsNotExist(err) {
			t.Error(err)
		}
	})
}

func TestUnitsOfAPackage(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	install := "install-units --root " + root + " --split push=25"
	t.Run("of a package are left alone", func(t *testing.T) {
		dir := filepath.Join(root, packageDir)
		os.MkdirAll(dir, 0o755)
		os.WriteFile(filepath.Join(dir, "worker@.service"), nil, 0o644)
		s.of(t).ok("the units are the package's", install)
		if _, err := os.Stat(filepath.Join(root, unitDir, "worker@.service")); err == nil {
			t.Error("a copy hides the unit of the package")
		}
		copied := filepath.Join(root, unitDir, "worker.target")
		os.MkdirAll(filepath.Dir(copied), 0o755)
		os.WriteFile(copied, nil, 0o644)
		s.of(t).ok("warning: "+copied+" hides the unit of the package", install)
	})
}
