package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// services are the units of TestSystemd.
var services = []string{"worker@default", "worker@push", "worker@mailers", "worker@pull"}

// booted is a systemd with the units installed, as an admin would do it.
type booted struct {
	*harness.Site
	*harness.Systemd
}

// TestSystemd boots systemd once. Its subtests are stages in the life of the units. The network
// is this machine's, so the units reach the Redis and the Postgres of the test. The units are run
// as they are shipped. The program at the path that they name is testworker, which has the jobs of
// the tests.
func TestSystemd(t *testing.T) {
	t.Parallel()
	b := boot(t)
	stage := func(says string, f func(*booted)) {
		t.Run(says, func(t *testing.T) {
			site := b.Site.With(t)
			f(&booted{site, b.Systemd.With(site)})
		})
	}
	stage("the units are active only when Redis and Postgres answer", (*booted).becomesActive)
	stage("jobs of every kind run under the filter of system calls", (*booted).runsJobs)
	stage("a unit serves a Redis on a unix socket", (*booted).servesSocket)
	stage("a unit is its own user to a Postgres without passwords", (*booted).isPeer)
	stage("a stop waits for the running jobs", (*booted).drains)
	stage("a killed process comes back, and no job is lost", (*booted).comesBack)
	stage("reload and TSTP quiet", (*booted).quiets)
	stage("a rolling restart under load loses and doubles no job", (*booted).rolls)
	stage("a job that eats memory ends only its own queue's process, three times",
		(*booted).endsEater)
	stage("the watchdog kills a process whose fetch loop is blocked", (*booted).watchdogKills)
	stage("the watchdog does not kill while Redis hangs", (*booted).watchdogWaits)
	for _, name := range services {
		if t.Failed() {
			log := b.Journal(name)
			t.Logf("%s:\n%s", name, log[max(0, len(log)-4000):])
		}
	}
}

// boot boots systemd and installs the units. Redis is not running yet.
func boot(t *testing.T) *booted {
	t.Helper()
	s := harness.New(t)
	url := pgtest.Start(t)
	s.Server.Kill()
	b := &booted{s, s.Systemd()}
	b.Install(harness.Program("testworker"), "/usr/bin/worker", "755")
	b.Do("workerctl", "install-units", "--split", "default=4,push=4,mailers=2,pull=2")
	b.Write("/etc/kyu/redis_url", s.Server.URL+"\n")
	b.Write("/etc/kyu/database_url", url+"\n")
	// The users of all instances may write to the folder of the ledger.
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
	return b
}

func (b *booted) allActive() bool {
	for _, name := range services {
		if !b.Active(name) {
			return false
		}
	}
	return true
}

func (b *booted) becomesActive() {
	b.Do("systemctl", "start", "--no-block", "worker.target")
	b.Until(20*time.Second, "the unit was restarted without Redis",
		func() bool { return b.Restarts("worker@push") >= 1 })
	b.Equal("active without Redis", b.Active("worker@push"), false)
	b.Server.Restart()
	b.Until(30*time.Second, "all are active", b.allActive)
}

// ledger is the file that jobs write to, as a path in the systemd.
const ledger = "/srv/ledger/l"

func (b *booted) ledger() (starts, ends map[string]int) {
	b.Helper()
	starts, ends, _ = harness.ReadLedger(b.Do("sh", "-c", "cat "+ledger+" 2>/dev/null || true"))
	return starts, ends
}

// forget starts a new ledger, which the users of all instances may write to.
func (b *booted) forget() {
	b.Helper()
	b.Do("sh", "-c", "rm -f "+ledger+"; touch "+ledger+"; chmod 666 "+ledger)
}

func (b *booted) runsJobs() {
	b.forget()
	b.Push("Test::DB", []any{10}, queue.Options{}) // uses Postgres
	for _, q := range fourQueues {                 // uses files, the clock and Redis over TCP
		b.Push("Test::Ledger", []any{ledger, q, 0}, queue.Options{Queue: q})
	}
	b.Settled(20 * time.Second)
	_, ends := b.ledger()
	b.Equal("jobs that ended", len(ends), 4)
	b.Equal("failures", b.Card("retry"), 0)
	b.Equal("status", b.Get("worker@push", "StatusText"), "0 of 4 threads busy on push")
	for _, name := range services {
		log := b.Journal(name)
		for _, bad := range []string{"operation not permitted", b.Server.URL} {
			if strings.Contains(log, bad) {
				b.Errorf("%s logs %q:\n%s", name, bad, log)
			}
		}
	}
	pid := b.Get("worker@push", "MainPID")
	env := b.Do("sh", "-c", "cat /proc/"+pid+"/environ /proc/"+pid+"/cmdline")
	b.Equal("the address of Redis is in the environment or the command line",
		strings.Contains(env, b.Server.Addr), false)
}

// servesSocket starts a Redis without a port.
func (b *booted) servesSocket() {
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
	b.Until(10*time.Second, "the job has run",
		func() bool { return strings.Contains(b.Journal("worker@socket"), "over a socket") })
	b.Do("workerctl", "health", "--http", "unix:/run/worker-socket/http")
	b.Do("systemctl", "stop", "worker@socket", "redis-socket")
}

// isPeer runs a unit as www-data, which Postgres takes over its socket without a password.
func (b *booted) isPeer() {
	b.Do("systemd-run", "--unit=postgres-peer", "-p", "User=postgres", "-p",
		"RuntimeDirectory=postgres-peer", "sh", "-c",
		"PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); "+
			"cd /run/postgres-peer && initdb -A peer -D data >/dev/null && chmod 755 . && "+
			"exec postgres -D data -k /run/postgres-peer -c listen_addresses=")
	b.Until(30*time.Second, "Postgres has the role", func() bool {
		return b.Do("sh", "-c", "runuser -u postgres -- psql -h /run/postgres-peer -c "+
			`'CREATE ROLE "www-data" LOGIN' >/dev/null 2>&1 && echo yes || true`) == "yes\n"
	})
	b.Do("workerctl", "install-units", "--split", "peer=2", "--user", "www-data")
	b.Write("/etc/kyu/peer.env", "WORKER_ARGS=-c 2\nDB_HOST=/run/postgres-peer\n"+
		"DB_USER=www-data\nDB_NAME=postgres\nDATABASE_URL=\n")
	url := b.Do("cat", "/etc/kyu/database_url")
	b.Write("/etc/kyu/database_url", "")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "start", "worker@peer")
	b.Contains("the log", b.Journal("worker@peer"), "pooler=none")
	b.Equal("user of the unit", b.Get("worker@peer", "User"), "www-data")
	b.Do("systemctl", "stop", "worker@peer", "postgres-peer")
	b.Do("rm", "-r", "/etc/systemd/system/worker@.service.d",
		"/etc/systemd/system/worker.service.d")
	b.Write("/etc/kyu/database_url", url)
	b.Do("systemctl", "daemon-reload")
}

func (b *booted) drains() {
	b.forget()
	b.Push("Test::Ledger", []any{ledger, "long", 1500}, queue.Options{Queue: "push"})
	b.Until(10*time.Second, "the job runs", func() bool {
		starts, _ := b.ledger()
		return starts["long"] == 1
	})
	b.Do("systemctl", "stop", "worker@push")
	starts, ends := b.ledger()
	b.Equal("starts", starts, "map[long:1]")
	b.Equal("ends", ends, "map[long:1]")
	b.Equal("result of the unit", b.Get("worker@push", "Result"), "success")
	b.Do("systemctl", "start", "worker@push")
}

func (b *booted) quiets() {
	b.Do("systemctl", "reload", "worker@mailers")
	b.Do("systemctl", "kill", "-s", "TSTP", "worker@pull")
	for _, name := range []string{"worker@mailers", "worker@pull"} {
		b.Until(10*time.Second, name+" is quiet", func() bool {
			return strings.HasSuffix(b.Get(name, "StatusText"), "; quiet")
		})
		b.Equal(name+" is active", b.Active(name), true)
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "mailers"})
	b.Do("systemctl", "restart", "worker@mailers", "worker@pull")
	b.Settled(10 * time.Second) // the restarted process takes the job
}
