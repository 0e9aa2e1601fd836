// Package pgtest starts real PostgreSQL servers, replicas and PgBouncers for tests,
// on private ports.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/redistest"
	"github.com/kyujobs/kyu/internal/testwait"
)

// Cluster is a PostgreSQL server of a test's own.
type Cluster struct {
	URL  string
	Port int
	t    testing.TB
	dir  string
	args []string
	as   *syscall.SysProcAttr
	cmd  *exec.Cmd
}

// Start starts an empty cluster and returns its URL. It ends with the test.
func Start(t testing.TB) string {
	t.Helper()
	return StartCluster(t).URL
}

// StartCluster starts an empty cluster; settings are such as "max_connections=20".
func StartCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t)
	c.run("initdb", "-D", c.dir+"/data", "-U", "kyu", "--auth", "trust", "--no-sync")
	c.serve(append(settings, "fsync=off"))
	return c
}

// Replica starts a streaming replica of c.
func (c *Cluster) Replica(settings ...string) *Cluster {
	c.t.Helper()
	r := newCluster(c.t)
	r.run("pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(c.Port), "-U", "kyu", "-D", r.dir+"/data", "-R", "-c", "fast", "--no-sync", "-X", "stream")
	r.serve(append(settings, "fsync=off"))
	return r
}

func newCluster(t testing.TB) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "kyu-pg-") // not t.TempDir: its parents are closed to the user postgres
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &Cluster{t: t, dir: dir, as: owner(t, dir)}
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(binaries(c.t), name), args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, c.as
	return cmd
}

func (c *Cluster) run(name string, args ...string) {
	c.t.Helper()
	if out, err := c.command(name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (c *Cluster) serve(settings []string) {
	c.t.Helper()
	c.Port = redistest.FreePort(c.t)
	c.URL = fmt.Sprintf("postgres://kyu@127.0.0.1:%d/postgres", c.Port)
	c.args = []string{"-D", c.dir + "/data", "-p", strconv.Itoa(c.Port)}
	for _, s := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=" + c.dir}, settings...) {
		c.args = append(c.args, "-c", s)
	}
	c.Restart()
	c.t.Cleanup(c.Stop)
}

// Restart starts the server again after Stop.
func (c *Cluster) Restart() {
	c.t.Helper()
	c.cmd = c.command("postgres", c.args...)
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	testwait.Until(c.t, 30*time.Second, "PostgreSQL answers", func() bool { return Answers(c.URL) })
}

// Stop shuts the server down at once, as a crash would.
func (c *Cluster) Stop() {
	if c.cmd != nil {
		c.cmd.Process.Signal(syscall.SIGQUIT)
		c.cmd.Wait()
		c.cmd = nil
	}
}

// Answers reports whether a server, or a pooler, answers a query.
func Answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol)
	return err == nil
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

// Pooler starts a PgBouncer before c, and returns the URL that goes through it and
// the one of its admin console. settings are lines of its [pgbouncer] section, such
// as "default_pool_size = 5"; the mode is transaction unless they say otherwise.
func (c *Cluster) Pooler(settings ...string) (url, admin string) {
	c.t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // not in everybody's PATH
	}
	dir, err := os.MkdirTemp("", "kyu-pgbouncer-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { os.RemoveAll(dir) })
	as := owner(c.t, dir)
	port := redistest.FreePort(c.t)
	text := fmt.Sprintf("[databases]\npostgres = host=127.0.0.1 port=%d dbname=postgres user=kyu\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nauth_type = any\nadmin_users = kyu\nunix_socket_dir =\nmax_client_conn = 500\npool_mode = transaction\n", c.Port, port)
	for _, s := range settings {
		text += s + "\n"
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(path, "-q", file)
	cmd.SysProcAttr = as
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("pgbouncer does not start: %v: is it installed? (make deps)", err)
	}
	c.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	base := fmt.Sprintf("postgres://kyu@127.0.0.1:%d/", port)
	testwait.Until(c.t, 10*time.Second, "PgBouncer answers", func() bool { return Answers(base + "postgres") })
	return base + "postgres", base + "pgbouncer"
}

// binaries finds the newest version that Debian installed.
func binaries(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		t.Fatal("PostgreSQL is not installed (make deps)")
	}
	return slices.Max(found)
}

// owner gives dir to the user postgres if the test runs as root, whom the
// server refuses.
func owner(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
