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

func TestUnitsAreInstalledCheckedAndRemoved(t *testing.T) {
	s := harness.New(t)
	root := t.TempDir()
	out := s.OK("checked by systemd-analyze verify", "install-units",
		"--split", "default=15,push=25,push-2=25,mailers=5,pull=10", "--root", root)
	if !regexp.MustCompile(`in all +80 +80\n`).MatchString(out) ||
		!strings.Contains(out, "systemctl enable --now worker.target worker@default worker@push "+
			"worker@push-2") {
		t.Errorf("no budget, or no next step, in\n%s", out)
	}
	file := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if text := file("etc/kyu/push-2.env"); !strings.Contains(text,
		"WORKER_ARGS=-c 25\nDB_POOL=25\n") {
		t.Error(text)
	}
	if info, err := os.Stat(filepath.Join(root, "etc/kyu/redis_url")); err != nil ||
		info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	// What an admin has changed is kept.
	os.WriteFile(filepath.Join(root, "etc/kyu/push.env"), []byte("WORKER_ARGS=-c 7\n"), 0o644)
	s.OK("it differs from what would be written", "install-units", "--split", "push=25",
		"--root", root)
	if text := file("etc/kyu/push.env"); text != "WORKER_ARGS=-c 7\n" {
		t.Error("an admin's file was overwritten:", text)
	}
	s.OK("--purge removes it too", "uninstall-units", "--root", root)
	file("etc/kyu/push.env")
	s.OK("removed", "uninstall-units", "--root", root, "--purge", "--yes")
	filepath.WalkDir(root, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
	for _, split := range []string{"push", "push=0", "push=many", "a b=1", "push=1,push=2", ""} {
		if out, code := s.Ctl("", "install-units", "--split", split, "--root", root); code != 2 ||
			!strings.Contains(out, "--split") {
			t.Errorf("--split %q: exit %d, %s", split, code, out)
		}
	}
}

func TestUnitsAreHardened(t *testing.T) {
	for _, unit := range []string{"worker.service", "worker@.service"} {
		path := filepath.Join(harness.Root(), "deploy/systemd", unit)
		out, err := exec.Command("systemd-analyze", "security", "--offline=true",
			"--no-pager", path).CombinedOutput()
		m := regexp.MustCompile(`Overall exposure level for \S+: ([\d.]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 1.1 {
			t.Errorf("%s: exposure %s, want 1.1 at most", unit, m[1])
		}
	}
}
