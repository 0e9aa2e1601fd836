package acceptance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// silentRedis is a port that takes connections and answers nothing. taken is closed when the first
// has come.
func silentRedis(t *testing.T) (url string, taken chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	taken = make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return // the test is over
		}
		t.Cleanup(func() { conn.Close() })
		close(taken)
	}()
	return "redis://" + l.Addr().String(), taken
}

// TestBoot holds that signals are obeyed before the worker has its Redis.
func TestBoot(t *testing.T) {
	worker := filepath.Join(harness.Bin, "worker")
	t.Run("TERM while Redis does not answer ends the process with 0", func(t *testing.T) {
		s := harness.New(t)
		url, taken := silentRedis(t)
		w := s.StartWith([]string{"REDIS_URL=" + url}, worker, "--log-format", "plain")
		<-taken
		w.Signal(syscall.SIGTERM)
		if code := w.Exit(5 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if !w.Says("Stopped before the first job was taken") {
			t.Error("the log does not say why it ends")
		}
	})
	t.Run("TTIN during the boot writes stacks, TSTP makes the worker quiet", func(t *testing.T) {
		s := harness.New(t)
		s.Raw.Do(t.Context(), "CLIENT", "PAUSE", "2500", "ALL")
		w := s.Start(worker, "--log-format", "plain")
		s.Until(5*time.Second, "it connects", func() bool { return sockets(w) > 0 })
		w.Signal(syscall.SIGTTIN)
		s.Until(5*time.Second, "the stacks",
			func() bool { return w.Says("stacks of all goroutines") })
		w.Signal(syscall.SIGTSTP)
		s.Until(20*time.Second, "it boots", func() bool { return w.Says("Serving") })
		s.Until(5*time.Second, "it is quiet",
			func() bool { return w.Says("Quiet from the start") })
		s.Until(10*time.Second, "its record says that it is quiet", func() bool {
			return s.Raw.HGet(t.Context(), w.Identity(), "quiet").Val() == "true"
		})
		if code := w.Stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("HUP stops in order, and says so", func(t *testing.T) {
		s := harness.New(t)
		// The test may run under nohup, of which the worker takes over that HUP is ignored.
		w := s.Start("env", "--default-signal=HUP", worker, "--log-format", "plain")
		s.Until(10*time.Second, "it boots", func() bool { return w.Says("Serving") })
		w.Signal(syscall.SIGHUP)
		if code := w.Exit(10 * time.Second); code != 0 || !w.Says("HUP: stopping") {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("a Redis that loads its data is waited for", loading)
	t.Run("a log that nobody reads does not end the worker", closedLog)
}

// sockets counts the connections of a process.
func sockets(p *harness.Process) (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", p.PID())
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil &&
			strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func loading(t *testing.T) {
	s := harness.New(t, "--enable-debug-command", "yes",
		"--loading-process-events-interval-bytes", "2048")
	populate := s.Raw.Do(t.Context(), "DEBUG", "POPULATE", "100000", "filler", "100")
	if err := populate.Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Raw.Do(t.Context(), "CONFIG", "SET", "key-load-delay", "100").Err(); err != nil {
		t.Skipf("this Redis cannot be made to load slowly: %v", err)
	}
	reload := s.Server.Client()
	go reload.Do(t.Context(), "DEBUG", "RELOAD") // answers when it has loaded
	var err error
	s.Until(20*time.Second, "it loads", func() bool {
		err = s.Raw.Get(t.Context(), "x").Err()
		return err != nil && strings.HasPrefix(err.Error(), "LOADING")
	})
	w := s.Start(filepath.Join(harness.Bin, "worker"), "--log-format", "plain")
	s.Until(10*time.Second, "it says so",
		func() bool { return w.Says("Redis still loads its data") })
	s.Raw.Do(t.Context(), "CONFIG", "SET", "key-load-delay", "0")
	s.Until(60*time.Second, "it boots", func() bool { return w.Says("Serving") })
	if code := w.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func closedLog(t *testing.T) {
	s := harness.New(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(harness.Bin, "worker"), "--log-level", "debug")
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.Server.URL, "DATABASE_URL=", "DB_HOST=",
		"DB_NAME=")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	w.Close()
	s.Until(10*time.Second, "it serves", func() bool {
		return s.Raw.SCard(t.Context(), "processes").Val() == 1
	})
	r.Close() // the reader goes away
	cmd.Process.Signal(syscall.SIGTTIN)
	cmd.Process.Signal(syscall.SIGTSTP) // writes a line too
	id := s.Raw.SMembers(t.Context(), "processes").Val()[0]
	s.Until(10*time.Second, "it goes on, and is quiet", func() bool {
		return s.Raw.HGet(t.Context(), id, "quiet").Val() == "true"
	})
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v, want exit code 0 after a drain", err)
	}
}
