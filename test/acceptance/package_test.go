package acceptance

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestPackage(t *testing.T) {
	t.Parallel()
	old, next := deb(t, "0.1.0"), deb(t, "0.2.0")
	t.Run("two builds of a version have the same bytes", func(t *testing.T) {
		if !bytes.Equal(read(t, old), read(t, deb(t, "0.1.0"))) {
			t.Error("they differ")
		}
	})
	t.Run("it has the man pages and completions of workerctl", func(t *testing.T) { pages(t, old) })
	t.Run("it installs, upgrades and removes", func(t *testing.T) {
		s := harness.New(t)
		b := &booted{s, s.Systemd()}
		b.Do("rm", "/usr/bin/worker", "/usr/bin/workerctl")
		b.Install(old, "/root/old.deb", "644")
		b.Install(next, "/root/next.deb", "644")
		b.installs()
		b.upgrades()
		b.removes()
	})
}

// pages checks the man pages and the completions in a package.
func pages(t *testing.T, path string) {
	dir := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "-x", path, dir).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	for file, want := range map[string]string{
		"bash-completion/completions/workerctl":     "__complete",
		"zsh/vendor-completions/_workerctl":         "#compdef workerctl",
		"fish/vendor_completions.d/workerctl.fish":  "complete -c workerctl",
		"man/man1/workerctl.1.gz":                   ".TH",
		"man/man1/workerctl-retries-delete.1.gz":    "--all",
		"man/man1/workerctl-queue-NAME-delete.1.gz": "workerctl queue push delete",
	} {
		text := read(t, filepath.Join(dir, "usr/share", file))
		if strings.HasSuffix(file, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q", file, want)
		}
	}
}

// deb builds the Debian package of a version and returns its path, in a folder of the test.
func deb(t *testing.T, version string) string {
	t.Helper()
	cmd := exec.Command("make", "-s", "deb", "VERSION="+version)
	cmd.Dir = harness.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	built := filepath.Join(harness.Root(), "bin", "kyu_"+version+"_"+runtime.GOARCH+".deb")
	path := filepath.Join(t.TempDir(), filepath.Base(built))
	if err := os.WriteFile(path, read(t, built), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *booted) installs() {
	b.Helper()
	b.Do("dpkg", "-i", "/root/old.deb")
	for _, unit := range []string{"worker.service", "worker.target", "worker@push"} {
		b.Equal(unit+" is active after the installation", b.Active(unit), false)
		if state := b.Get(unit, "UnitFileState"); strings.HasPrefix(state, "enabled") {
			b.Errorf("%s is %s after the installation", unit, state)
		}
	}
	b.Equal("mode and size of redis_url", strings.TrimSpace(b.Do("stat", "-c", "%a %s",
		"/etc/kyu/redis_url")), "600 0")
	b.Write("/etc/kyu/redis_url", b.Server.URL+"\n")
	b.Write("/etc/kyu/worker.env", "WORKER_ARGS=-c 3\n")
	// Copies of the units would hide those of the next version.
	b.Contains("install-units", b.Do("workerctl", "install-units", "--split", "push=3"),
		"the units are the package's")
	b.Do("systemctl", "start", "worker@push")
}

func (b *booted) upgrades() {
	b.Helper()
	pid := b.Get("worker@push", "MainPID")
	b.Do("dpkg", "-i", "--force-confold", "/root/next.deb")
	b.Until(20*time.Second, "the unit runs as a new process",
		func() bool { return b.Active("worker@push") && b.Get("worker@push", "MainPID") != pid })
	b.Contains("version", b.Do("worker", "-V"), "0.2.0")
	for _, unit := range []string{"worker@pull", "worker.service"} {
		b.Equal(unit+" is active after the upgrade", b.Active(unit), false)
	}
	b.Equal("settings after the upgrade", b.Do("cat", "/etc/kyu/worker.env"), "WORKER_ARGS=-c 3\n")
}

func (b *booted) removes() {
	b.Helper()
	b.Do("dpkg", "-r", "kyu")
	b.Equal("active after the removal", b.Active("worker@push"), false)
	b.Do("test", "-e", "/etc/kyu/redis_url")
	b.Do("dpkg", "-P", "kyu")
	b.Do("sh", "-c", "! ls /usr/bin/worker /usr/bin/workerctl /lib/systemd/system/worker* "+
		"/etc/kyu 2>/dev/null")
}
