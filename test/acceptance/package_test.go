package acceptance

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestPackage(t *testing.T) {
	t.Parallel()
	old, next := deb(t, "0.1.0"), deb(t, "0.2.0")
	t.Run("two builds of a version have the same bytes", func(t *testing.T) {
		if !bytes.Equal(read(t, old), read(t, deb(t, "0.1.0"))) {
			t.Error("they differ")
		}
	})
	t.Run("lintian finds nothing that is not overridden", func(t *testing.T) { lintian(t, old) })
	t.Run("it has what docs/operations.md lists, and nothing else", func(t *testing.T) {
		contents(t, old)
	})
	t.Run("it has the man pages and completions", func(t *testing.T) { pages(t, old) })
	t.Run("it installs, upgrades and removes", func(t *testing.T) {
		s := harness.New(t)
		b := &booted{s, s.Systemd()}
		b.Do("rm", "/usr/bin/worker", "/usr/bin/workerctl")
		d := &packagedDashboard{b, redistest.FreePort(t), redistest.FreePort(t)}
		// A container may have a policy that packages start no services.
		b.Do("rm", "-f", "/usr/sbin/policy-rc.d")
		b.Install(old, "/root/old.deb", "644")
		b.Install(next, "/root/next.deb", "644")
		before := b.files()
		b.installs()
		d.starts()
		d.hasUsers()
		d.streams()
		b.upgrades()
		d.isUpgraded()
		b.comesAgain()
		b.removes(before)
	})
}

// lintian checks a package. The tags that it prints are in the log of the test.
func lintian(t *testing.T, path string) {
	out, err := exec.Command("lintian", "--allow-root", "--pedantic", "--display-info",
		"--show-overrides", "--tag-display-limit", "0", "--fail-on", "none", path).CombinedOutput()
	t.Logf("the tags of lintian (O: is overridden):\n%s", out)
	if err != nil {
		t.Errorf("lintian: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "O: ") && !strings.HasPrefix(line, "N: ") {
			t.Errorf("not overridden: %s", line)
		}
	}
}

// contents compares the files of a package with the table of docs/operations.md.
func contents(t *testing.T, path string) {
	out, err := exec.Command("sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -t`, "sh",
		path).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(read(t, filepath.Join(harness.Root(),
		"docs/operations.md"))), "\n## Packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	places := map[string]int{} // the files at each place of the table
	for _, m := range regexp.MustCompile("(?m)^\\| `(/[^`]+)`").FindAllStringSubmatch(section, -1) {
		places[m[1]] = 0
	}
	pages := map[string]bool{}
	for name := range strings.FieldsSeq(string(out)) {
		name = strings.TrimPrefix(name, ".")
		if strings.HasSuffix(name, "/") {
			continue
		}
		listed := false
		for place := range places {
			if name == place || strings.HasPrefix(name, strings.TrimSuffix(place, "/")+"/") {
				places[place]++
				listed = true
			}
		}
		if !listed {
			t.Errorf("docs/operations.md does not list %s", name)
		}
		pages[strings.TrimSuffix(filepath.Base(name), ".gz")] = true
	}
	for place, files := range places {
		if files == 0 {
			t.Errorf("docs/operations.md lists %s, which the package does not have", place)
		}
	}
	for _, page := range glob(t, "docs/*.md") {
		if !pages[filepath.Base(page)] {
			t.Errorf("the package does not have %s", page)
		}
	}
}

// glob lists files of the repository.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(harness.Root(), pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return paths
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
		"man/man1/worker.1.gz":                      `\-\-concurrency`,
		"man/man1/workerctl.1.gz":                   ".TH",
		"man/man1/dashboard.1.gz":                   `\-\-key\-file`,
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
	built := filepath.Join(harness.Root(), "bin", "kyu_"+version+"-0kyu1_"+
		runtime.GOARCH+".deb")
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

// files lists what a package might leave behind.
func (b *booted) files() string {
	b.Helper()
	return b.Do("sh", "-c", "find /etc /usr /var/lib/systemd -xdev | sort")
}

func (b *booted) installs() {
	b.Helper()
	b.Do("dpkg", "-i", "/root/old.deb")
	for _, unit := range []string{"worker.service", "worker.target", "worker@push",
		"dashboard", "dashboard-stream@9293"} {
		b.Equal(unit+" is active after the installation", b.Active(unit), false)
		if state := b.Get(unit, "UnitFileState"); strings.HasPrefix(state, "enabled") {
			b.Errorf("%s is %s after the installation", unit, state)
		}
	}
	for name, size := range map[string]string{"redis_url": "0", "dashboard_users": "0",
		"dashboard_key": "45"} {
		b.Equal("mode and size of "+name, strings.TrimSpace(b.Do("stat", "-c", "%a %s",
			"/etc/kyu/"+name)), "600 "+size)
	}
	b.Write("/etc/kyu/redis_url", b.Server.URL+"\n")
	b.Write("/etc/kyu/worker.env", "WORKER_ARGS=-c 3\n")
	// Copies of the units would hide those of the next version.
	b.Contains("install-units", b.Do("workerctl", "install-units", "--split", "push=3"),
		"the units are the package's")
	b.Do("mkdir", "/etc/systemd/system/worker@push.service.d")
	b.Write("/etc/systemd/system/worker@push.service.d/override.conf",
		"[Service]\nMemoryMax=2G\n")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "enable", "--now", "worker.target", "worker@push")
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
	b.Contains("a call without worker@push", b.Do("workerctl", "install-units", "--split",
		"mailers=3"), "worker@push still runs and is in no file of this call: systemctl disable "+
		"--now worker@push\n")
	b.Equal("settings after the upgrade", b.Do("cat", "/etc/kyu/worker.env"), "WORKER_ARGS=-c 3\n")
}

// comesAgain removes the package and installs it again.
func (b *booted) comesAgain() {
	b.Helper()
	b.Do("dpkg", "-r", "kyu")
	b.Equal("active after the removal", b.Active("worker@push"), false)
	b.Equal("redis_url after the removal", b.Do("cat", "/etc/kyu/redis_url"), b.Server.URL+"\n")
	b.Do("dpkg", "-i", "/root/next.deb")
	b.Equal("active after it came again", b.Active("worker@push"), false)
	b.Do("systemctl", "is-enabled", "--quiet", "worker.target", "worker@push")
	b.Do("systemctl", "start", "worker.target")
	b.Until(20*time.Second, "what was enabled before the removal runs",
		func() bool { return b.Active("worker@push") })
}

// removes purges the package while a unit runs. Only the files of before are left.
func (b *booted) removes(before string) {
	b.Helper()
	b.Do("workerctl", "install-units", "--split", "push=3", "--user", "www-data")
	b.Do("dpkg", "-P", "kyu")
	b.Equal("active after the purge", b.Active("worker@push"), false)
	was := map[string]bool{}
	for path := range strings.FieldsSeq(before) {
		was[path] = true
	}
	for path := range strings.FieldsSeq(b.files()) {
		if !was[path] {
			b.Errorf("left after the purge: %s", path)
		}
	}
}
