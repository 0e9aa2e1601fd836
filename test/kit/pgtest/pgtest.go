// Package pgtest gives tests real PostgreSQL servers, replicas and PgBouncers, which
// end with the test.
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

// Cluster is a PostgreSQL server of a test's own.
type Cluster struct {
	*pgserver.Server
	t testing.TB
}

// Start starts an empty cluster and returns its URL.
func Start(t testing.TB) string {
	t.Helper()
	return StartCluster(t).URL
}

// StartCluster starts an empty cluster; settings are such as "max_connections=20".
func StartCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	return cluster(t)(pgserver.Start(settings...))
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
		mode = []any{pgx.QueryExecModeSimpleProtocol} // several statements at once
	}
	if _, err := conn.Exec(context.Background(), sql, append(mode, args...)...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
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

// Pooler starts a PgBouncer before c, and returns the URL that goes through it and
// the one of its admin console. settings are lines of its [pgbouncer] section, such
// as "default_pool_size = 5"; the mode is transaction unless they say otherwise.
func (c *Cluster) Pooler(settings ...string) (url, admin string) {
	c.t.Helper()
	p := c.StartPooler(settings...)
	return p.URL, p.Admin
}

// Bouncer is a PgBouncer of a test's own.
type Bouncer struct {
	URL, Admin string

	t    testing.TB
	path string
	file string
	as   *syscall.SysProcAttr
	cmd  *exec.Cmd
}

// StartPooler starts a PgBouncer that the test can kill.
func (c *Cluster) StartPooler(settings ...string) *Bouncer {
	c.t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // not in everybody's PATH
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

// Restart starts it again after Kill.
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

// Kill ends it as kill -9 does.
func (b *Bouncer) Kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}
