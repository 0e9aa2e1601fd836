package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// dangerous is what somebody with the worker's password could do harm with.
var dangerous = []string{
	"FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET dir /tmp", "CONFIG REWRITE",
	"SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "MONITOR",
	"ACL LIST", "ACL SETUSER x on",
	"CLIENT KILL TYPE normal", "CLIENT LIST", "CLIENT PAUSE 1", "MODULE LIST", "SLOWLOG GET",
	"LATENCY LATEST", "SWAPDB 0 1", "MIGRATE 127.0.0.1 1 queue:a 0 1", "RESTORE queue:a 0 x",
	"SORT queue:a BY x", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH",
	"PUBLISH x y", "CLUSTER INFO", "FAILOVER", "PSYNC x 1", "GET other", "SET kyuother 1",
}

func TestTheWorkersUserMayDoNothingDangerous(t *testing.T) {
	s := harness.New(t)
	c := redis.NewClient(&redis.Options{Addr: s.Server.Addr, Username: "kyu", Password: "secret",
		Protocol: 2, MaxRetries: -1})
	defer c.Close()
	refused := 0
	for _, command := range dangerous {
		var words []any
		for _, w := range strings.Fields(command) {
			words = append(words, w)
		}
		if err := c.Do(t.Context(), words...).Err(); err == nil ||
			!strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s: %v, want NOPERM", command, err)
		} else {
			refused++
		}
	}
	for _, script := range []string{`return redis.call('FLUSHALL')`,
		`return redis.call('GET', 'other')`, `return redis.call('KEYS', '*')`} {
		if err := c.Eval(t.Context(), script, nil).Err(); err == nil ||
			!strings.Contains(err.Error(), "The user executing the script can't") {
			t.Errorf("from Lua, %s: %v", script, err)
		}
	}
	t.Logf("row 41: %d of %d dangerous commands refused", refused, len(dangerous))
}

// secured is a Redis that talks TLS, and to nobody without a certificate.
func secured(s *harness.Site, c *harness.Certs) (port int) {
	s.Helper()
	port = redistest.FreePort(s)
	redistest.Start(s, "--tls-port", strconv.Itoa(port), "--tls-cert-file", c.Path("server.pem"),
		"--tls-key-file", c.Path("server.key"), "--tls-ca-cert-file", c.Path("ca.pem"),
		"--tls-auth-clients", "yes")
	return port
}

func TestTLSToRedisChecksTheServersNameAndShowsACertificate(t *testing.T) {
	s := harness.New(t)
	c := s.NewCerts()
	c.Issue("server", "localhost")
	c.Issue("client")
	port := secured(s, c)
	worker := func(host string, env ...string) (out string) {
		cmd := exec.Command(filepath.Join(harness.Bin, "worker"), "--check")
		cmd.Env = append(os.Environ(), append([]string{"DATABASE_URL=", "DB_HOST=",
			fmt.Sprintf("REDIS_URL=rediss://kyu:secret@%s:%d/0", host, port)}, env...)...)
		b, err := cmd.CombinedOutput()
		return fmt.Sprint(err, " ", string(b))
	}
	ca, cert, key := "REDIS_TLS_CA_FILE="+c.Path("ca.pem"),
		"REDIS_TLS_CERT_FILE="+c.Path("client.pem"), "REDIS_TLS_KEY_FILE="+c.Path("client.key")
	for name, c := range map[string]struct {
		out  string
		want string
	}{
		"all is right": {worker("localhost", ca, cert, key), "<nil> "},
		"another name": {worker("127.0.0.1", ca, cert, key), "127.0.0.1"},
		"an authority it knows not": {worker("localhost", cert, key),
			"certificate signed by unknown authority"},
		"no certificate of its own": {worker("localhost", ca), "cannot reach Redis"},
	} {
		if !strings.Contains(c.out, c.want) || strings.HasPrefix(c.out,
			"<nil>") != (name == "all is right") {
			t.Errorf("%s: want %q in %s", name, c.want, c.out)
		}
	}
	url := fmt.Sprintf("REDIS_URL=rediss://kyu:secret@localhost:%d/0", port)
	w := s.WorkerWith([]string{url, ca, cert, key}, "-c", "2")
	s.Until(10*time.Second, "it serves", func() bool { return w.Says("Serving") })
	s.Env = []string{url, ca, cert, key}
	s.OK("", "push", "Test::NoOp")
	s.Until(10*time.Second, "a job has run", func() bool { return w.Says("done") })
}

func TestTLSToPostgresChecksTheServersNameAndShowsACertificate(t *testing.T) {
	s := harness.New(t)
	c := s.NewCerts()
	c.Issue("server", "127.0.0.1")
	c.Issue("kyu")
	hba := c.Path("hba.conf")
	if err := os.WriteFile(hba, []byte("hostnossl all all 127.0.0.1/32 trust\n"+
		"hostssl all all 127.0.0.1/32 cert\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if u, err := user.Lookup("postgres"); err == nil && os.Getuid() == 0 { // whose key it must be
		uid, _ := strconv.Atoi(u.Uid)
		if err := os.Chown(c.Path("server.key"), uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	parents(t, c.Dir)
	cluster := pgtest.StartCluster(t, "ssl=on", "ssl_cert_file="+c.Path("server.pem"),
		"ssl_key_file="+c.Path("server.key"), "ssl_ca_file="+c.Path("ca.pem"), "hba_file="+hba)
	own := "&sslcert=" + c.Path("kyu.pem") + "&sslkey=" + c.Path("kyu.key")
	address := func(host, more string) string {
		return fmt.Sprintf("DATABASE_URL=postgres://kyu@%s:%d/postgres?"+
			"sslmode=verify-full&sslrootcert=%s%s", host, cluster.Port, c.Path("ca.pem"), more)
	}
	check := func(address string) string {
		cmd := exec.Command(filepath.Join(harness.Bin, "worker"), "--check")
		cmd.Env = append(os.Environ(), "REDIS_URL="+s.Server.URL, address)
		b, err := cmd.CombinedOutput()
		return fmt.Sprint(err, " ", string(b))
	}
	if out := check(address("127.0.0.1", own)); !strings.HasPrefix(out, "<nil>") {
		t.Errorf("all is right: %s", out)
	}
	if out := check(address("localhost", own)); !strings.Contains(out, "localhost") ||
		strings.HasPrefix(out, "<nil>") {
		t.Errorf("another name: %s", out)
	}
	if out := check(address("127.0.0.1", "")); strings.HasPrefix(out, "<nil>") {
		t.Errorf("no certificate of its own: %s", out)
	}
	w := s.WorkerWith([]string{address("127.0.0.1", own)}, "-c", "2")
	s.Push("Test::DB", []any{1}, queue.Options{})
	s.Until(10*time.Second, "a job has asked Postgres", func() bool { return w.Says("done") })
}

// parents lets others pass through the folders above dir.
func parents(t *testing.T, dir string) {
	t.Helper()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASecretIsNowhereToBeSeen(t *testing.T) {
	const canary = "canary-d0n7-5h0w"
	s := harness.New(t, append([]string{"--user", "default", "on", "nopass", "~*", "&*", "+@all",
		"--user", "sealed", "on", ">" + canary, "~*", "&*", "+@all", "--user", "kyu"},
		redistest.Rule(t)...)...)
	socket, file := filepath.Join(s.Dir, "http"), filepath.Join(s.Dir, "secret")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	pg := strings.Replace(pgtest.Start(t), "postgres://kyu@", "postgres://kyu:"+canary+"@", 1)
	host, port, _ := strings.Cut(s.Server.Addr, ":")
	byFile := []string{"REDIS_URL=", "REDIS_HOST=" + host, "REDIS_PORT=" + port,
		"REDIS_USER=sealed", "REDIS_PASSWORD_FILE=" + file, "SMTP_PASSWORD_FILE=" + file,
		"SMTP_LOGIN=x"}
	byEnv := []string{"REDIS_URL=redis://sealed:" + canary + "@" + s.Server.Addr,
		"DATABASE_URL=" + pg, "SMTP_PASSWORD=" + canary, "CACHE_REDIS_PASSWORD=" + canary}
	seen := func(what, text string) {
		t.Helper()
		if strings.Contains(text, canary) {
			t.Errorf("the secret is in %s", what)
		}
		if text == "" {
			t.Errorf("%s is empty", what)
		}
	}
	run := func(env []string, program string, args ...string) string {
		cmd := exec.Command(filepath.Join(harness.Bin, program), args...)
		cmd.Env = append(append(os.Environ(), "DATABASE_URL=", "DB_HOST="), env...)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	for name, env := range map[string][]string{"files": byFile, "variables": byEnv} {
		w := s.WorkerWith(env, "-c", "2", "--log-level", "debug", "--http", "unix:"+socket)
		s.Until(10*time.Second, "it serves", func() bool { return w.Says("Serving") })
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.PID()))
		seen("argv with "+name, string(cmdline))
		if name == "files" {
			environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", w.PID()))
			seen("the environment", string(environ))
		}
		for _, path := range []string{"/metrics", "/readyz", "/livez"} {
			_, page := scrape(s, socket, path)
			seen(path, page)
		}
		seen("--print-config with "+name, run(env, "worker", "--print-config"))
		seen("workerctl doctor with "+name, run(env, "workerctl", "doctor"))
		seen("workerctl processes with "+name, run(env, "workerctl", "processes", "--json"))
		s.Server.Kill() // errors of Redis
		s.Until(15*time.Second, "it says so", func() bool { return w.Says("does not serve us") })
		seen("--check without Redis, with "+name, run(env, "worker", "--check"))
		s.Server.Restart()
		s.Until(15*time.Second, "it goes on", func() bool { return w.Says("serves us again") })
		s.Raw.LPush(t.Context(), "queue:default",
			`{"class":"Test::Fault","args":["goroutine"],"jid":"x","retry":false}`)
		<-w.Done
		if !w.Says("goroutine that the job started panics") {
			t.Error("the panic is not in the log")
		}
		seen("the log, with a panic, with "+name, w.Log())
		s.Clear()
	}
	wrong := strings.Replace(byEnv[0], canary, canary+"x", 1)
	seen("--check with a wrong password", run([]string{wrong}, "worker", "--check"))
}
