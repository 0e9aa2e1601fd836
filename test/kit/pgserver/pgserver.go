// Package pgserver starts PostgreSQL servers for tests, load tests and the demo, from the
// binaries of this machine, on free ports and in temporary directories.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled means that PostgreSQL is not installed on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed (/usr/lib/postgresql/*/bin): " +
	"apt-get install postgresql, or make deps")

// Server is a PostgreSQL server.
type Server struct {
	URL  string
	Port int
	dir  string               // of its data and socket
	args []string             // of the program postgres
	as   *syscall.SysProcAttr // the user under which it runs; nil: ours
	cmd  *exec.Cmd
}

// Start starts an empty server with settings such as "max_connections=20". The caller
// removes it by Remove.
func Start(settings ...string) (*Server, error) {
	s, err := empty()
	if err != nil {
		return nil, err
	}
	return s.serve(settings)
}

// empty makes the files of an empty server.
func empty() (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "kyu", "--auth", "trust",
		"--no-sync"); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// Replica starts a streaming replica of s, with settings as for Start.
func (s *Server) Replica(settings ...string) (*Server, error) {
	r, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := r.run("pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "kyu",
		"-D", r.data(), "-R", "-c", "fast", "--no-sync", "-X", "stream"); err != nil {
		r.Remove()
		return nil, err
	}
	return r.serve(settings)
}

func prepare() (*Server, error) {
	if _, err := binary("postgres"); err != nil {
		return nil, err
	}
	dir, as, err := Dir("kyu-pg-")
	return &Server{dir: dir, as: as}, err
}

// data is the directory of the server's files.
func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Dir makes a temporary directory for a server. If this process runs as root, under which
// the servers refuse to run, the directory belongs to the user postgres, and as starts a
// program as that user; else as is nil.
func Dir(prefix string) (dir string, as *syscall.SysProcAttr, err error) {
	if dir, err = os.MkdirTemp("", prefix); err != nil || os.Getuid() != 0 {
		return dir, nil, err
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return dir, nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid),
		Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}

// binary returns the path of a program of the newest version that is installed.
func binary(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", ErrNotInstalled
	}
	return slices.Max(found), nil
}

func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := binary(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	return cmd, nil
}

func (s *Server) run(name string, args ...string) error {
	cmd, err := s.command(name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (s *Server) serve(settings []string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.URL = fmt.Sprintf("postgres://kyu@127.0.0.1:%d/postgres", s.Port)
	s.args = []string{"-D", s.data(), "-p", strconv.Itoa(s.Port)}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1",
		"unix_socket_directories=" + s.dir, "fsync=off"}, settings...) {
		s.args = append(s.args, "-c", setting)
	}
	if err := s.Restart(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// Restart starts the server again after Stop.
func (s *Server) Restart() (err error) {
	if s.cmd, err = s.command("postgres", s.args...); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); !Answers(s.URL); {
		select {
		case <-tick.C:
		case <-limit:
			return errors.New("PostgreSQL does not answer within 30 s")
		}
	}
	return nil
}

// PID returns the id of the server's main process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server at once, without a clean shutdown (SIGQUIT).
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGQUIT)
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Remove stops the server and deletes its directory.
func (s *Server) Remove() {
	s.Stop()
	os.RemoveAll(s.dir)
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
