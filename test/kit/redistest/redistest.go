// Package redistest starts real Redis servers for tests, on free ports. A server has two
// users: programs and Stores under test use the user that docs/redis.md recommends, with its
// few rights; a test's own commands, by Client, use one that may do everything.
package redistest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// Server is a redis-server for one test.
type Server struct {
	Addr  string // host:port
	URL   string // with the user of docs/redis.md
	Admin string // with a user that may do everything
	t     testing.TB
	args  []string
	cmd   *exec.Cmd
}

// Start starts an empty server. args are further settings, such as "--maxmemory", "3mb". It
// stops at the end of the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{Addr: "127.0.0.1:" + strconv.Itoa(port), t: t}
	s.URL, s.Admin = "redis://kyu:secret@"+s.Addr+"/0", "redis://"+s.Addr+"/0"
	s.args = append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--daemonize", "no"}, args...)
	if !slices.Contains(args, "--user") {
		s.args = append(s.args, "--user", "default", "on", "nopass", "~*", "&*", "+@all",
			"--user", "kyu")
		s.args = append(s.args, Rule(t)...)
	}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Rule returns the ACL rule of docs/redis.md for a worker's user, with the password "secret".
func Rule(t testing.TB) []string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(self), "../../../docs/redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, found := strings.Cut(string(page), "    ACL SETUSER kyu ")
	if !found {
		t.Fatal("no rule in docs/redis.md")
	}
	rule, _, _ = strings.Cut(rule, "\n")
	return strings.Fields(strings.Replace(rule, ">PASSWORD", ">secret", 1))
}

// With adds settings for the next start of the server, and returns it.
func (s *Server) With(args ...string) *Server {
	s.args = append(s.args, args...)
	return s
}

// Restart starts the server again after Kill, with the data that it has saved, and waits
// until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	c := s.Client()
	testwait.Until(s.t, time.Minute, "redis-server answers",
		func() bool { return c.Ping(context.Background()).Err() == nil })
}

// Launch is Restart for a server that may take long to load its data: it does not wait for
// the end of loading.
func (s *Server) Launch() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.t.TempDir(), "redis.log"),
		os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server does not start: %v: is it installed? (make deps)", err)
	}
	c := s.Client()
	testwait.Until(s.t, 10*time.Second, "redis-server answers or loads its data", func() bool {
		err := c.Ping(context.Background()).Err()
		return err == nil || redis.HasErrorPrefix(err, "LOADING")
	})
}

// Kill ends the server by SIGKILL.
func (s *Server) Kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Dir returns the directory of the server's files.
func (s *Server) Dir() string { return s.args[slices.Index(s.args, "--dir")+1] }

// PID returns the id of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Client returns a client that may do everything, for commands of the test itself.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2})
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Store opens a Store on the server, with the rights of a worker. options change its
// configuration.
func (s *Server) Store(options ...func(*queue.Config)) *queue.Store {
	s.t.Helper()
	c := queue.Config{URL: s.URL}
	for _, o := range options {
		o(&c)
	}
	store, err := queue.Open(context.Background(), c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	return store
}

// FreePort returns a port of 127.0.0.1 on which no process listens. It is t's own until t ends:
// a socket named after it keeps it from other tests, also of other processes, because two servers
// that were given one port would be one server for two tests. The port is below those that Linux
// gives to connections (net.ipv4.ip_local_port_range, from 32768 by default).
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		mark, err := net.Listen("unix", fmt.Sprint("@kyu-test-port-", port))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			mark.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { mark.Close() })
		return port
	}
	t.Fatal("no free port between 10000 and 29999")
	return 0
}
