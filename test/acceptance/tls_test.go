package acceptance

import (
	"fmt"
	"os"
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
)

func TestTLS(t *testing.T) {
	t.Parallel()
	beside(t, "to Redis it checks the server's name and shows a certificate", testTLSToRedis)
	beside(t, "to Postgres it checks the server's name and shows a certificate", testTLSToPostgres)
}

// checked runs worker --check, which must succeed if want is empty, and else fail and print want.
func checked(s *harness.Site, what, want string, env ...string) {
	s.Helper()
	out, err := run(env, "worker", "--check")
	s.Equal(what+": it succeeds", err == nil, want == "")
	s.Contains(what, out, want)
}

func testTLSToRedis(s *harness.Site) {
	c := s.NewCerts()
	c.Issue("server", "localhost")
	c.Issue("client")
	port := redistest.FreePort(s)
	redistest.Start(s, "--tls-port", strconv.Itoa(port), "--tls-cert-file", c.Path("server.pem"),
		"--tls-key-file", c.Path("server.key"), "--tls-ca-cert-file", c.Path("ca.pem"),
		"--tls-auth-clients", "yes")
	url := func(host string) string {
		return fmt.Sprintf("REDIS_URL=rediss://kyu:secret@%s:%d/0", host, port)
	}
	ca, cert, key := "REDIS_TLS_CA_FILE="+c.Path("ca.pem"),
		"REDIS_TLS_CERT_FILE="+c.Path("client.pem"), "REDIS_TLS_KEY_FILE="+c.Path("client.key")
	right := []string{url("localhost"), ca, cert, key}
	checked(s, "all is right", "", right...)
	checked(s, "another name", "127.0.0.1", url("127.0.0.1"), ca, cert, key)
	checked(s, "an unknown authority", "certificate signed by unknown authority",
		url("localhost"), cert, key)
	checked(s, "no client certificate", "check REDIS_TLS_CA", url("localhost"), ca)
	w := s.WorkerWith(right, "-c", "2")
	s.Until(10*time.Second, "it serves", func() bool { return w.Says("Serving") })
	s.Env = right
	s.OK("", "push", "Test::NoOp")
	s.Until(10*time.Second, "a job has run", func() bool { return w.Says("done") })
}

func testTLSToPostgres(s *harness.Site) {
	c := s.NewCerts()
	c.Issue("server", "127.0.0.1")
	c.Issue("kyu")
	hba := c.Path("hba.conf")
	s.Must(os.WriteFile(hba, []byte("hostnossl all all 127.0.0.1/32 trust\n"+
		"hostssl all all 127.0.0.1/32 cert\n"), 0o644))
	giveToPostgres(s, c)
	cluster := pgtest.StartCluster(s, "ssl=on", "ssl_cert_file="+c.Path("server.pem"),
		"ssl_key_file="+c.Path("server.key"), "ssl_ca_file="+c.Path("ca.pem"), "hba_file="+hba)
	own := "&sslcert=" + c.Path("kyu.pem") + "&sslkey=" + c.Path("kyu.key")
	url := func(host, certificate string) string {
		return fmt.Sprintf("DATABASE_URL=postgres://kyu@%s:%d/postgres?"+
			"sslmode=verify-full&sslrootcert=%s%s", host, cluster.Port, c.Path("ca.pem"),
			certificate)
	}
	redis := "REDIS_URL=" + s.Server.URL
	checked(s, "all is right", "", redis, url("127.0.0.1", own))
	checked(s, "another name", "localhost", redis, url("localhost", own))
	checked(s, "no client certificate", "certificate", redis, url("127.0.0.1", ""))
	w := s.WorkerWith([]string{url("127.0.0.1", own)}, "-c", "2")
	s.Push("Test::DB", []any{1}, queue.Options{})
	s.Until(10*time.Second, "a job has asked Postgres", func() bool { return w.Says("done") })
}

// giveToPostgres lets the server read its key. If the test runs as root, the server runs as the
// user postgres. Then this user must own the key and may pass through the folders above it.
func giveToPostgres(s *harness.Site, c *harness.Certs) {
	s.Helper()
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		s.Must(err)
		uid, err := strconv.Atoi(u.Uid)
		s.Must(err)
		s.Must(os.Chown(c.Path("server.key"), uid, -1))
	}
	openFolders(s, c.Dir)
}

// openFolders lets other users read a folder of the test.
func openFolders(s *harness.Site, dir string) {
	s.Helper()
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		s.Must(os.Chmod(d, 0o755))
	}
}
