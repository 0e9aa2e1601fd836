// Package pgtest starts real PostgreSQL servers, replicas and PgBouncers for tests. They stop
// at the end of the test.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/test/kit/pgserver"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// Cluster is a PostgreSQL server for one test.
type Cluster struct {
	*pgserver.Server
	t testing.TB
}

// Start starts an empty server and returns its URL.
func Start(t testing.TB) string {
	t.Helper()
	return StartCluster(t).URL
}

// StartCluster starts an empty server with settings such as "max_connections=20".
func StartCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	return cluster(t)(pgserver.StartCopy(settings...))
}

// Replica starts a streaming replica of c.
func (c *Cluster) Replica(settings ...string) *Cluster {
	c.t.Helper()
	return cluster(c.t)(c.Server.Replica(settings...))
}

func cluster(t testing.TB) func(*pgserver.Server, error) *Cluster {
	t.Helper()
	return func(s *pgserver.Server, err error) *Cluster {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Remove)
		return &Cluster{s, t}
	}
}

// Restart starts the server again after Stop.
func (c *Cluster) Restart() {
	c.t.Helper()
	if err := c.Server.Restart(); err != nil {
		c.t.Fatal(err)
	}
}

// Exec runs statements on a server.
func Exec(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	mode := []any{pgx.QueryExecModeExec}
	if len(args) == 0 {
		mode = []any{pgx.QueryExecModeSimpleProtocol} // allows several statements
	}
	if _, err := conn.Exec(context.Background(), sql, append(mode, args...)...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Query runs a query on a server whose result is one text.
func Query(t testing.TB, url, sql string, args ...any) (text string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

const poolerConfig = `[databases]
postgres = host=127.0.0.1 port=%d dbname=postgres user=kyu
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
auth_type = any
admin_users = kyu
unix_socket_dir =
max_client_conn = 500
pool_mode = transaction
`

// Pooler starts a PgBouncer in front of c. It returns the URL of the database behind it, and
// that of its admin console. settings are lines of the section [pgbouncer], such as
// "default_pool_size = 5"; the pool mode is transaction by default.
func (c *Cluster) Pooler(settings ...string) (url, admin string) {
	c.t.Helper()
	p := c.StartPooler(settings...)
	return p.URL, p.Admin
}

// Bouncer is a PgBouncer for one test.
type Bouncer struct {
	URL   string // of the database behind it
	Admin string // of its admin console

	t    testing.TB
	path string               // of the program
	file string               // its configuration
	as   *syscall.SysProcAttr // the user under which it runs; nil: ours
	cmd  *exec.Cmd
}

// StartPooler is Pooler for a test that kills and restarts the PgBouncer.
func (c *Cluster) StartPooler(settings ...string) *Bouncer {
	c.t.Helper()
	port := redistest.FreePort(c.t)
	text := fmt.Sprintf(poolerConfig, c.Port, port)
	for _, s := range settings {
		text += s + "\n"
	}
	return RunPooler(c.t, text, "", fmt.Sprintf("postgres://kyu@127.0.0.1:%d/postgres", port))
}

// RunPooler starts a PgBouncer with a configuration, in which AUTH_FILE stands for a file with the
// text users. url is the address of one of its databases.
func RunPooler(t testing.TB, config, users, url string) *Bouncer {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // which may not be in PATH
	}
	dir, as, err := pgserver.Dir("kyu-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, list := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "userlist.txt")
	for name, text := range map[string]string{file: strings.ReplaceAll(config, "AUTH_FILE", list),
		list: users} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := &Bouncer{URL: url, Admin: url[:strings.LastIndex(url, "/")] + "/pgbouncer", t: t,
		path: path, file: file, as: as}
	b.Restart()
	t.Cleanup(b.Kill)
	return b
}

// Restart starts the PgBouncer again after Kill, and waits until it answers.
func (b *Bouncer) Restart() {
	b.t.Helper()
	b.cmd = exec.Command(b.path, "-q", b.file)
	b.cmd.SysProcAttr = b.as
	if err := b.cmd.Start(); err != nil {
		b.t.Fatalf("pgbouncer does not start: %v: is it installed? (make deps)", err)
	}
	testwait.Until(b.t, 10*time.Second, "PgBouncer answers",
		func() bool { return pgserver.Answers(b.URL) })
}

// Stop ends the PgBouncer as systemd does: it finishes the transactions that run.
func (b *Bouncer) Stop() {
	b.cmd.Process.Signal(syscall.SIGINT)
	b.cmd.Wait()
}

// Kill ends the PgBouncer by SIGKILL.
func (b *Bouncer) Kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}
