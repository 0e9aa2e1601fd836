package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// Process is a program that runs or has ended.
type Process struct {
	Done chan struct{} // closed when the program has ended

	site *Site
	cmd  *exec.Cmd
	log  *testwait.Log
}

// Worker starts a worker with the test jobs: testworker, which Build must have built.
func (s *Site) Worker(args ...string) *Process {
	s.Helper()
	return s.WorkerWith(nil, args...)
}

// WorkerWith starts a worker with the test jobs and further variables in its environment.
func (s *Site) WorkerWith(env []string, args ...string) *Process {
	s.Helper()
	return s.StartWith(env, filepath.Join(Bin, "testworker"),
		append([]string{"--test-jobs", "--log-format", "plain"}, args...)...)
}

// Start starts a program. It is killed at the end of the test.
func (s *Site) Start(program string, args ...string) *Process {
	s.Helper()
	return s.StartWith(nil, program, args...)
}

// StartWith starts a program with further variables in its environment.
func (s *Site) StartWith(env []string, program string, args ...string) *Process {
	s.Helper()
	p := &Process{site: s, cmd: exec.Command(program, args...), log: new(testwait.Log),
		Done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+s.Server.URL, "TEST_RECORD="+s.RecordPath(),
		"DATABASE_URL=", "DB_HOST=", "DB_NAME=", "DB_USER=")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.Done)
	}()
	s.Cleanup(func() {
		p.Kill()
		if s.Failed() {
			s.Logf("%s %s:\n%s", program, strings.Join(args, " "), tail(p.Log()))
		}
	})
	return p
}

func tail(text string) string {
	if len(text) > 6000 {
		text = "…" + text[len(text)-6000:]
	}
	return text
}

// Log returns what the program has printed.
func (p *Process) Log() string { return p.log.String() }

// Says reports whether the program has printed text.
func (p *Process) Says(text string) bool { return strings.Contains(p.Log(), text) }

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// Kill ends the process by SIGKILL, and waits for its end.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Done
}

// Exit waits until the process has ended, and returns its exit code.
func (p *Process) Exit(limit time.Duration) int {
	p.site.Helper()
	select {
	case <-p.Done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.site.Fatalf("still running after %v", limit)
		return -1
	}
}

// Stop sends SIGTERM, waits until the process has ended, and returns its exit code.
func (p *Process) Stop() int {
	p.site.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Exit(40 * time.Second)
}

// Identity returns the identity of the worker. It must be the only one on the Redis.
func (p *Process) Identity() (id string) {
	p.site.Helper()
	p.site.Until(10*time.Second, "the worker is registered", func() bool {
		list, err := inspect.New(p.site.Store).Processes(p.site.Context())
		if err == nil && len(list) > 0 {
			id = list[0].Identity
		}
		return id != ""
	})
	return id
}
