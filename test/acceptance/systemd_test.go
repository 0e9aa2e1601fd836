package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// services are the units of TestUnderARealSystemd.
var services = []string{"worker@default", "worker@push", "worker@mailers", "worker@pull"}

// booted is a systemd with the units installed, as an admin would.
type booted struct {
	*harness.Site
	*harness.Systemd
	t *testing.T
}

// TestUnderARealSystemd boots systemd once and takes the units through their life. The network
// is this machine's: Redis and Postgres are the test's. The units are run as they are shipped; the
// program at the path that they name is testworker, which has the jobs of the tests.
func TestUnderARealSystemd(t *testing.T) {
	s := harness.New(t)
	url := pgtest.Start(t)
	s.Server.Kill() // it is not there yet
	b := &booted{s, s.Systemd(), t}
	b.Install(filepath.Join(harness.Bin, "testworker"), "/usr/bin/worker", "755")
	b.Do("workerctl", "install-units", "--split", "default=4,push=4,mailers=2,pull=2")
	b.Write("/etc/kyu/redis_url", s.Server.URL+"\n")
	b.Write("/etc/kyu/database_url", url+"\n")
	// Jobs write their ledger where every instance's user can.
	b.Do("sh", "-c", "mkdir -p /srv/ledger && chmod 1777 /srv/ledger")
	for _, name := range services {
		b.Do("mkdir", "-p", "/etc/systemd/system/"+name+".service.d")
		b.Write("/etc/systemd/system/"+name+".service.d/test.conf",
			"[Service]\nReadWritePaths=/srv/ledger\n")
		file := "/etc/kyu/" + strings.TrimPrefix(name, "worker@") + ".env"
		b.Do("sed", "-i", "s/^WORKER_ARGS=/&--test-jobs -t 10 /", file)
	}
	b.Do("systemctl", "daemon-reload")
	b.Do(append([]string{"systemctl", "enable", "worker.target"}, services...)...)

	run := func(what string, stage func(*booted, *testing.T)) {
		t.Run(what, func(t *testing.T) {
			site := s.With(t)
			stage(&booted{site, b.Systemd.With(site), t}, t)
		})
	}
	run("active only when Redis and Postgres answer", (*booted).becomesActive)
	run("status, and jobs of every kind run under the filter", (*booted).runsJobs)
	run("Redis over a unix socket", (*booted).runsOverASocket)
	run("stop drains", (*booted).stopDrains)
	run("killed, it comes back and nothing is lost", (*booted).killed)
	run("reload and TSTP quiet", (*booted).quiets)
	run("a rolling restart under load loses and doubles nothing", (*booted).rolls)
	run("a job that eats memory costs its own queue's process alone, three times", (*booted).eats)
	run("the watchdog kills a process whose fetch loop is blocked", (*booted).barks)
	run("the watchdog does not kill while Redis hangs", (*booted).staysQuiet)
	for _, name := range services {
		if t.Failed() {
			t.Logf("%s:\n%s", name, tail(b.Journal(name)))
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-4000):] }

func (b *booted) allActive() bool {
	for _, name := range services {
		if !b.Active(name) {
			return false
		}
	}
	return true
}

func (b *booted) becomesActive(t *testing.T) {
	b.Do("systemctl", "start", "--no-block", "worker.target")
	b.Until(20*time.Second, "it has been tried without Redis",
		func() bool { return b.Restarts("worker@push") >= 1 })
	if b.Active("worker@push") {
		t.Error("active without Redis")
	}
	b.Server.Restart()
	b.Until(30*time.Second, "all are active", b.allActive)
}

// ledger is where the jobs write, inside.
const ledger = "/srv/ledger/l"

func (b *booted) ledger() (starts, ends map[string]int) {
	text := b.Do("sh", "-c", "cat "+ledger+" 2>/dev/null || true")
	if err := os.WriteFile(b.LedgerPath(), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	starts, ends, _ = b.Ledger()
	return starts, ends
}

// forget starts a new ledger, which all instances may write to.
func (b *booted) forget() {
	b.Do("sh", "-c", "rm -f "+ledger+"; touch "+ledger+"; chmod 666 "+ledger)
}

func (b *booted) runsJobs(t *testing.T) {
	b.forget()
	b.Push("Test::DB", []any{10}, queue.Options{}) // Postgres
	for _, q := range fourQueues {                 // the file system, the clock, Redis over TCP
		b.Push("Test::Ledger", []any{ledger, q, 0}, queue.Options{Queue: q})
	}
	b.Settled(20 * time.Second)
	if _, ends := b.ledger(); len(ends) != 4 || b.Card("retry") != 0 {
		t.Errorf("ended %v, failed %d", ends, b.Card("retry"))
	}
	if text := b.Get("worker@push", "StatusText"); text != "0 of 4 threads busy on push" {
		t.Errorf("status %q", text)
	}
	for _, name := range services {
		if log := b.Journal(name); strings.Contains(log, "operation not permitted") ||
			strings.Contains(log, b.Server.URL) {
			t.Errorf("%s was refused a call, or logs its address:\n%s", name, log)
		}
	}
	pid := b.Get("worker@push", "MainPID")
	env := b.Do("sh", "-c", "cat /proc/"+pid+"/environ /proc/"+pid+"/cmdline")
	if strings.Contains(env, b.Server.Addr) {
		t.Error("the address of Redis is in the environment or the command line")
	}
}

// runsOverASocket serves a queue from a Redis that has no port at all.
func (b *booted) runsOverASocket(t *testing.T) {
	b.Do("systemd-run", "--unit=redis-socket", "-p", "RuntimeDirectory=redis-socket",
		"redis-server", "--port", "0", "--unixsocket", "/run/redis-socket/sock",
		"--unixsocketperm", "777", "--save", "", "--dir", "/run/redis-socket")
	b.Until(10*time.Second, "Redis listens", func() bool {
		return strings.Contains(b.Do("ls", "/run/redis-socket"), "sock")
	})
	b.Write("/etc/kyu/socket.env", "WORKER_ARGS=-c 2 --test-jobs --http "+
		"unix:/run/worker-socket/http\nREDIS_URL=unix:///run/redis-socket/sock\n")
	b.Do("systemctl", "start", "worker@socket")
	b.Do("env", "REDIS_URL=unix:///run/redis-socket/sock", "workerctl", "push", "Test::Fail",
		`["over a socket"]`, "--queue", "socket", "--retry", "0")
	b.Until(10*time.Second, "it has run",
		func() bool { return strings.Contains(b.Journal("worker@socket"), "over a socket") })
	b.Do("workerctl", "health", "--http", "unix:/run/worker-socket/http")
	b.Do("systemctl", "stop", "worker@socket", "redis-socket")
}

func (b *booted) stopDrains(t *testing.T) {
	b.forget()
	b.Push("Test::Ledger", []any{ledger, "long", 1500}, queue.Options{Queue: "push"})
	b.Until(10*time.Second, "it runs", func() bool {
		starts, _ := b.ledger()
		return starts["long"] == 1
	})
	b.Do("systemctl", "stop", "worker@push")
	if starts, ends := b.ledger(); starts["long"] != 1 || ends["long"] != 1 {
		t.Errorf("started %v, ended %v", starts, ends)
	}
	if result := b.Get("worker@push", "Result"); result != "success" {
		t.Errorf("stopped with %s", result)
	}
	b.Do("systemctl", "start", "worker@push")
}

func (b *booted) killed(t *testing.T) {
	b.forget()
	for i := range 4 {
		b.Push("Test::Ledger", []any{ledger, fmt.Sprint(i), 3000},
			queue.Options{Queue: "push", JID: fmt.Sprint("killed", i)})
	}
	b.Until(10*time.Second, "all run", func() bool {
		starts, _ := b.ledger()
		return len(starts) == 4
	})
	before := b.Restarts("worker@push")
	b.Signal("worker@push", syscall.SIGKILL)
	b.Until(20*time.Second, "it is back", func() bool {
		return b.Restarts("worker@push") > before && b.Active("worker@push")
	})
	b.Until(20*time.Second, "all have ended", func() bool {
		_, ends := b.ledger()
		return len(ends) == 4
	})
	b.Settled(10 * time.Second)
	if n := b.Card("retry") + b.Card("dead"); n != 0 {
		t.Errorf("the crash cost %d jobs a retry", n)
	}
	for _, name := range services { // whose users may not see each other's processes
		if strings.Contains(b.Journal(name), "lease of this process is lost") {
			t.Errorf("%s was taken for dead while it lived", name)
		}
	}
}

func (b *booted) quiets(t *testing.T) {
	b.Do("systemctl", "reload", "worker@mailers")
	b.Do("systemctl", "kill", "-s", "TSTP", "worker@pull")
	for _, name := range []string{"worker@mailers", "worker@pull"} {
		b.Until(10*time.Second, name+" is quiet", func() bool {
			return strings.HasSuffix(b.Get(name, "StatusText"), "; quiet")
		})
		if !b.Active(name) {
			t.Errorf("%s is not active any more", name)
		}
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "mailers"})
	b.Do("systemctl", "restart", "worker@mailers", "worker@pull")
	b.Settled(10 * time.Second) // and takes jobs again
}

// produce pushes jobs that write to a ledger until stop is closed, and returns the ids that
// Redis acknowledged.
func produce(s *harness.Site, ledger string, stop <-chan struct{}, every time.Duration,
	ms int) (acked map[string]bool, wait func()) {
	acked = map[string]bool{}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			id := fmt.Sprint(i)
			_, err := s.Client.Push(context.Background(), "Test::Ledger", []any{ledger, id, ms},
				queue.Options{Queue: fourQueues[i%4], JID: "job" + id, Idempotent: true})
			if err == nil {
				acked[id] = true
			}
		}
	}()
	return acked, done.Wait
}

func (b *booted) rolls(t *testing.T) {
	b.forget()
	stop := make(chan struct{})
	acked, wait := produce(b.Site, ledger, stop, 4*time.Millisecond, 20)
	const rounds = 8
	for range rounds {
		b.Do("systemctl", "restart", "worker@*")
	}
	b.Do("systemctl", "restart", "worker.target")
	close(stop)
	wait()
	b.Until(30*time.Second, "all are active", b.allActive)
	b.Settled(30 * time.Second)
	starts, ends := b.ledger()
	for id := range acked {
		if starts[id] != 1 || ends[id] != 1 {
			t.Errorf("%s started %d times, ended %d times", id, starts[id], ends[id])
		}
	}
	t.Logf("%d jobs through %d restarts of four services, each once", len(acked), rounds+1)
}

func (b *booted) eats(t *testing.T) {
	limit := "MemoryMax=300M\nMemorySwapMax=0"
	if !strings.Contains(b.Do("cat", "/sys/fs/cgroup/cgroup.controllers"), "memory") {
		t.Log("this kernel has no memory controller to give away: the limit is LimitDATA, at " +
			"which Go's runtime ends the process")
		limit = "LimitDATA=300M"
	}
	b.Write("/etc/systemd/system/worker@pull.service.d/memory.conf", "[Service]\n"+limit+"\n")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "restart", "worker@pull")
	others := map[string]string{}
	for _, name := range services {
		others[name] = b.Get(name, "MainPID")
	}
	before := b.Restarts("worker@pull")
	b.Push("Test::Eat", nil, queue.Options{Queue: "pull"})
	b.Until(90*time.Second, "it is dead", func() bool { return b.Card("dead") == 1 })
	e, err := inspect.New(b.Store).DeadSet().Page(t.Context(), 0, 1)
	if err != nil || e[0].Job.Class != "Test::Eat" ||
		e[0].Job.String("error_class") != "kyu.Poison" {
		t.Errorf("%+v %v", e, err)
	}
	b.Until(20*time.Second, "the queue is served again",
		func() bool { return b.Active("worker@pull") })
	if n := b.Restarts("worker@pull") - before; n != 3 {
		t.Errorf("died %d times, want 3", n)
	}
	for _, name := range services[:3] {
		if pid := b.Get(name, "MainPID"); pid != others[name] {
			t.Errorf("%s died too", name)
		}
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "pull"})
	b.Settled(10 * time.Second)
}

func (b *booted) barks(t *testing.T) {
	const name = "testworker-failpoints"
	harness.BuildAs(name, "failpoints", "./test/kit/testworker")
	b.Install(filepath.Join(harness.Bin, name), "/usr/bin/"+name, "755")
	dropIn := "/etc/systemd/system/worker@mailers.service.d/blocks.conf"
	b.Write(dropIn, "[Service]\nExecStart=\n"+
		"ExecStart=/usr/bin/"+name+" --instance %i $WORKER_ARGS\n"+
		"Environment=KYU_FAILPOINTS=before_fetch=block@40\n")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "restart", "worker@mailers")
	before := b.Restarts("worker@mailers")
	b.Push("Test::Hang", nil, queue.Options{Queue: "mailers"}) // a handler that hangs is no reason
	// One thread is left for these: a fetch each, of which the fortieth blocks.
	if _, err := b.Client.PushBulk(t.Context(), "Test::NoOp", make([][]any, 60),
		queue.Options{Queue: "mailers"}); err != nil {
		t.Fatal(err)
	}
	b.Until(40*time.Second, "it was killed by its watchdog", func() bool {
		return strings.Contains(b.Do("journalctl", "--no-pager", "-o", "cat",
			"-u", "worker@mailers"), "Watchdog timeout")
	})
	b.Until(30*time.Second, "it is back",
		func() bool { return b.Restarts("worker@mailers") > before && b.Active("worker@mailers") })
	b.Do("systemctl", "stop", "worker@mailers") // Test::Hang would take its threads one by one
	b.Do("rm", dropIn)
	b.Do("systemctl", "daemon-reload")
	b.Raw.Del(t.Context(), "queue:mailers")
}

func (b *booted) staysQuiet(t *testing.T) {
	before := map[string]int{}
	for _, name := range services {
		before[name] = b.Restarts(name)
	}
	if err := syscall.Kill(b.Server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.Until(20*time.Second, "the status says so",
		func() bool { return strings.Contains(b.Get("worker@push", "StatusText"), "; Redis: ") })
	<-time.After(20 * time.Second) // twice WatchdogSec
	syscall.Kill(b.Server.PID(), syscall.SIGCONT)
	for _, name := range []string{"worker@default", "worker@push", "worker@pull"} {
		if n := b.Restarts(name); n != before[name] || !b.Active(name) {
			t.Errorf("%s was restarted %d times while Redis hung", name, n-before[name])
		}
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "push"})
	b.Until(30*time.Second, "it takes jobs again", func() bool { return b.Len("push") == 0 })
}

// deb builds the Debian package of a version.
func deb(t *testing.T, version string) (path string, content []byte) {
	t.Helper()
	cmd := exec.Command("make", "-s", "deb", "VERSION="+version)
	cmd.Dir = harness.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	path = filepath.Join(harness.Root(), "bin", "kyu_"+version+"_"+runtime.GOARCH+".deb")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestThePackageInstallsUpgradesAndGoesAway(t *testing.T) {
	s := harness.New(t)
	old, content := deb(t, "0.1.0")
	if _, again := deb(t, "0.1.0"); !bytes.Equal(content, again) {
		t.Error("built twice, the package differs")
	}
	next, _ := deb(t, "0.2.0")
	b := &booted{s, s.Systemd(), t}
	b.Do("rm", "/usr/bin/worker", "/usr/bin/workerctl")
	b.Install(old, "/root/old.deb", "644")
	b.Install(next, "/root/next.deb", "644")

	b.Do("dpkg", "-i", "/root/old.deb")
	for _, unit := range []string{"worker.service", "worker.target", "worker@push"} {
		if b.Active(unit) || strings.HasPrefix(b.Get(unit, "UnitFileState"), "enabled") {
			t.Errorf("the installation has started or enabled %s", unit)
		}
	}
	if mode := strings.TrimSpace(b.Do("stat", "-c", "%a %s",
		"/etc/kyu/redis_url")); mode != "600 0" {
		t.Errorf("redis_url: %s", mode)
	}
	b.Write("/etc/kyu/redis_url", s.Server.URL+"\n")
	b.Write("/etc/kyu/worker.env", "WORKER_ARGS=-c 3\n")
	if out := b.Do("workerctl", "install-units", "--split", "push=3"); !strings.Contains(out,
		"the units are the package's") {
		t.Errorf("copies of the units would hide those of the next version:\n%s", out)
	}
	b.Do("systemctl", "start", "worker@push")
	pid := b.Get("worker@push", "MainPID")

	b.Do("dpkg", "-i", "--force-confold", "/root/next.deb")
	b.Until(20*time.Second, "it runs the new version",
		func() bool { return b.Active("worker@push") && b.Get("worker@push", "MainPID") != pid })
	if out := b.Do("worker", "-V"); !strings.Contains(out, "0.2.0") {
		t.Errorf("version %s", out)
	}
	if b.Active("worker@pull") || b.Active("worker.service") {
		t.Error("the upgrade has started what did not run")
	}
	if got := b.Do("cat", "/etc/kyu/worker.env"); got != "WORKER_ARGS=-c 3\n" {
		t.Errorf("the upgrade has overwritten the settings: %s", got)
	}

	b.Do("dpkg", "-r", "kyu")
	if b.Active("worker@push") {
		t.Error("still running after the removal")
	}
	b.Do("test", "-e", "/etc/kyu/redis_url")
	b.Do("dpkg", "-P", "kyu")
	b.Do("sh", "-c", "! ls /usr/bin/worker /usr/bin/workerctl /lib/systemd/system/worker* "+
		"/etc/kyu 2>/dev/null")
}
