package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// dangerous are commands that do harm in the hands of an attacker who has the worker's password.
var dangerous = []string{
	"FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET dir /tmp", "CONFIG REWRITE",
	"SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "MONITOR",
	"ACL LIST", "ACL SETUSER x on",
	"CLIENT KILL TYPE normal", "CLIENT LIST", "CLIENT PAUSE 1", "MODULE LIST", "SLOWLOG GET",
	"LATENCY LATEST", "SWAPDB 0 1", "MIGRATE 127.0.0.1 1 queue:a 0 1", "RESTORE queue:a 0 x",
	"SORT queue:a BY x", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH",
	"PUBLISH x y", "CLUSTER INFO", "FAILOVER", "PSYNC x 1", "GET other", "SET kyuother 1",
}

func TestRedisUser(t *testing.T) {
	t.Parallel()
	beside(t, "the worker's user may run no dangerous command", testDangerous)
}

func testDangerous(s *harness.Site) {
	c := redis.NewClient(&redis.Options{Addr: s.Server.Addr, Username: "kyu", Password: "secret",
		Protocol: 2, MaxRetries: -1})
	defer c.Close()
	refused := 0
	for _, command := range dangerous {
		var words []any
		for _, w := range strings.Fields(command) {
			words = append(words, w)
		}
		err := c.Do(s.Context(), words...).Err()
		if redis.HasErrorPrefix(err, "NOPERM") {
			refused++
		} else {
			s.Errorf("%s: %v, want NOPERM", command, err)
		}
	}
	for _, script := range []string{`return redis.call('FLUSHALL')`,
		`return redis.call('GET', 'other')`, `return redis.call('KEYS', '*')`} {
		err := c.Eval(s.Context(), script, nil).Err()
		s.Contains("error of "+script, fmt.Sprint(err), "The user executing the script can't")
	}
	s.Logf("row 41: %d of %d dangerous commands refused", refused, len(dangerous))
}

const canary = "canary-d0n7-5h0w"

func TestSecrets(t *testing.T) {
	t.Parallel()
	users := append([]string{"--user", "default", "on", "nopass", "~*", "&*", "+@all",
		"--user", "sealed", "on", ">" + canary, "~*", "&*", "+@all", "--user", "kyu"},
		redistest.Rule(t)...)
	beside(t, "passwords in files are shown nowhere", func(s *harness.Site) {
		file := filepath.Join(s.Dir, "secret")
		s.Must(os.WriteFile(file, []byte(canary), 0o600))
		host, port, _ := strings.Cut(s.Server.Addr, ":")
		secret := &secret{s, []string{"REDIS_URL=", "REDIS_HOST=" + host, "REDIS_PORT=" + port,
			"REDIS_USER=sealed", "REDIS_PASSWORD_FILE=" + file, "SMTP_PASSWORD_FILE=" + file,
			"SMTP_LOGIN=x"}}
		w := secret.worker()
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", w.PID()))
		s.Must(err)
		secret.isNotIn("the environment", string(environ))
		secret.check(w)
	}, users...)
	beside(t, "passwords in variables are shown nowhere else", func(s *harness.Site) {
		pg := strings.Replace(pgtest.Start(s), "postgres://kyu@", "postgres://kyu:"+canary+"@", 1)
		url := "REDIS_URL=redis://sealed:" + canary + "@" + s.Server.Addr
		secret := &secret{s, []string{url, "DATABASE_URL=" + pg, "SMTP_PASSWORD=" + canary,
			"CACHE_REDIS_PASSWORD=" + canary}}
		secret.check(secret.worker())
		secret.env = []string{url + "x"} // the user's name and the wrong password
		secret.isNotIn("--check with a wrong password", secret.output("worker", "--check"))
	}, users...)
}

// secret looks for the canary, which is the password of everything, in what programs show.
type secret struct {
	*harness.Site
	env []string
}

func (s *secret) worker() *harness.Process {
	s.Helper()
	w := s.WorkerWith(s.env, "-c", "2", "--log-level", "debug", "--http", "unix:"+socket(s.Site))
	s.Until(10*time.Second, "it serves", func() bool { return w.Says("Serving") })
	return w
}

func (s *secret) isNotIn(what, text string) {
	s.Helper()
	if strings.Contains(text, canary) {
		s.Errorf("the secret is in %s", what)
	}
	if text == "" {
		s.Errorf("%s is empty", what)
	}
}

func (s *secret) output(program string, args ...string) string {
	s.Helper()
	out, _ := run(s.env, program, args...)
	return out
}

// check looks at all that a worker and workerctl show, also while Redis is down and after a panic.
func (s *secret) check(w *harness.Process) {
	s.Helper()
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.PID()))
	s.Must(err)
	s.isNotIn("the command line", string(cmdline))
	for _, path := range []string{"/metrics", "/readyz", "/livez"} {
		_, page := scrape(s.Site, path)
		s.isNotIn(path, page)
	}
	s.isNotIn("--print-config", s.output("worker", "--print-config"))
	s.isNotIn("doctor", s.output("workerctl", "doctor"))
	s.isNotIn("processes", s.output("workerctl", "processes", "--json"))
	s.Server.Kill()
	s.Until(15*time.Second, "the log says that Redis is down",
		func() bool { return w.Says("does not serve us") })
	s.isNotIn("--check without Redis", s.output("worker", "--check"))
	s.Server.Restart()
	s.Until(15*time.Second, "the log says that Redis is back",
		func() bool { return w.Says("serves us again") })
	s.Raw.LPush(s.Context(), "queue:default",
		`{"class":"Test::Fault","args":["goroutine"],"jid":"x","retry":false}`)
	<-w.Done
	s.Contains("log", w.Log(), "goroutine that the job started panics")
	s.isNotIn("the log, with a panic", w.Log())
}
