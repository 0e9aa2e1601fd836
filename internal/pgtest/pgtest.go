// Package pgtest starts real PostgreSQL servers for tests, on private ports.
package pgtest

import (
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

// Start starts an empty cluster and returns its URL. It ends with the test.
func Start(t testing.TB) string {
	t.Helper()
	bin := binaries(t)
	dir, err := os.MkdirTemp("", "kyu-pg-") // not t.TempDir: its parents are closed to the user postgres
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := owner(t, dir)
	run := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr = dir, as
		return c
	}
	if out, err := run("initdb", "-D", dir+"/data", "-U", "kyu", "--auth", "trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := strconv.Itoa(redistest.FreePort(t))
	server := run("postgres", "-D", dir+"/data", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGQUIT) // immediate shutdown
		server.Wait()
	})
	url := fmt.Sprintf("postgres://kyu@127.0.0.1:%s/postgres", port)
	testwait.Until(t, 20*time.Second, "PostgreSQL answers", func() bool {
		c, err := pgx.Connect(t.Context(), url)
		if err == nil {
			c.Close(t.Context())
		}
		return err == nil
	})
	return url
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
