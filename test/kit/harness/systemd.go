package harness

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

//go:embed systemd.sh
var bootScript string

// Systemd is a real systemd in its own namespaces. It ends with the test, and so do the
// processes in it.
type Systemd struct {
	site *Site
	pid  string // of its init, in this process's namespace
}

// running is locked while a systemd runs: two at once would use the same control groups.
var running sync.Mutex

// Systemd boots a systemd and puts the programs into its /usr/bin. The test is skipped, with
// the reason, where the kernel does not allow this.
func (s *Site) Systemd() *Systemd {
	s.Helper()
	if os.Getuid() != 0 {
		s.Skip("booting systemd needs root")
	}
	running.Lock()
	s.Cleanup(running.Unlock)
	dir := filepath.Join(s.Dir, "systemd")
	s.Must(os.Mkdir(dir, 0o755))
	boot := exec.Command("unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork",
		"--kill-child", "sh", s.write("systemd.sh", bootScript), dir)
	log := new(testwait.Log)
	boot.Stdout, boot.Stderr = log, log
	if err := boot.Start(); err != nil {
		s.Skipf("systemd does not boot here: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		boot.Wait()
		close(ended)
	}()
	s.Cleanup(func() {
		boot.Process.Kill() // init ends with it, and all other processes with init
		<-ended
	})
	d := &Systemd{site: s}
	for limit := time.Now().Add(40 * time.Second); !d.booted(boot.Process.Pid); {
		select {
		case <-ended:
			s.Skipf("systemd does not boot here: %s", log)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(limit) {
			s.Skipf("systemd does not boot here within 40 s: %s", log)
		}
	}
	for _, name := range []string{"worker", "workerctl"} {
		d.Install(Program(name), "/usr/bin/"+name, "755")
	}
	return d
}

// booted finds the init that boot has started, and reports whether it has started its units.
func (d *Systemd) booted(boot int) bool {
	if d.pid = child(boot); d.pid == "" {
		return false
	}
	out, _ := d.run("systemctl", "is-system-running")
	return strings.HasPrefix(out, "running") || strings.HasPrefix(out, "degraded")
}

// child returns the only child of a process, if it is systemd: the init of the namespaces.
func child(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) != 1 {
		return ""
	}
	name, err := os.ReadFile("/proc/" + fields[0] + "/comm")
	if err != nil || strings.TrimSpace(string(name)) != "systemd" {
		return ""
	}
	return fields[0]
}

// With returns the same systemd for a subtest.
func (d *Systemd) With(s *Site) *Systemd { return &Systemd{s, d.pid} }

func (d *Systemd) run(args ...string) (string, error) {
	out, err := exec.Command("nsenter", append([]string{"-t", d.pid, "-a"},
		args...)...).CombinedOutput()
	return string(out), err
}

// Do runs a command in the namespaces, which must succeed, and returns its output.
func (d *Systemd) Do(args ...string) string {
	d.site.Helper()
	out, err := d.run(args...)
	if err != nil {
		d.site.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Install copies a file into the namespaces.
func (d *Systemd) Install(from, to, mode string) {
	d.site.Helper()
	f, err := os.Open(from)
	if err != nil {
		d.site.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("nsenter", "-t", d.pid, "-a", "sh", "-c",
		`mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"`, "sh", to, mode)
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil {
		d.site.Fatalf("%s: %v %s", to, err, out)
	}
}

// Write writes a file in the namespaces.
func (d *Systemd) Write(path, text string) {
	d.site.Helper()
	d.Install(d.site.write("file", text), path, "600")
}

// Get returns a property of a unit.
func (d *Systemd) Get(unit, property string) string {
	d.site.Helper()
	return strings.TrimSpace(d.Do("systemctl", "show", "--value", "-p", property, unit))
}

// Active reports whether a unit is active.
func (d *Systemd) Active(unit string) bool { return d.Get(unit, "ActiveState") == "active" }

// Restarts returns how often systemd has restarted a unit on its own.
func (d *Systemd) Restarts(unit string) int {
	n, err := strconv.Atoi(d.Get(unit, "NRestarts"))
	if err != nil {
		d.site.Fatal(err)
	}
	return n
}

// Signal sends a signal to a unit's main process, not through systemd.
func (d *Systemd) Signal(unit string, signal syscall.Signal) {
	d.site.Helper()
	d.Do("kill", "-"+strconv.Itoa(int(signal)), d.Get(unit, "MainPID"))
}

// Journal returns the log of a unit.
func (d *Systemd) Journal(unit string) string {
	d.site.Helper()
	return d.Do("journalctl", "--no-pager", "-o", "cat", "-u", unit)
}
