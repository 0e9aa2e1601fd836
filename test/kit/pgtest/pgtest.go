// Package pgtest starts real PostgreSQL servers, replicas and PgBouncers for tests. They stop
// at the end of the test.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // which may not be in PATH
	}
	dir, as, err := pgserver.Dir("kyu-pgbouncer-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { os.RemoveAll(dir) })
	port := redistest.FreePort(c.t)
	text := fmt.Sprintf(poolerConfig, c.Port, port)
	for _, s := range settings {
		text += s + "\n"
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	base := fmt.Sprintf("postgres://kyu@127.0.0.1:%d/", port)
	b := &Bouncer{URL: base + "postgres", Admin: base + "pgbouncer", t: c.t, path: path,
		file: file, as: as}
	b.Restart()
	c.t.Cleanup(b.Kill)
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
