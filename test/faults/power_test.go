package faults

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// witness watches with strace what a server writes to its append-only file and when
// it asks the disk to keep it: what was not asked for is what a power loss takes.
type witness struct {
	trace *exec.Cmd
	log   string
	file  string
	fd    string
	began int64 // size of the file when it began to watch
}

func watch(t *testing.T, s *harness.Site) *witness {
	t.Helper()
	pid := s.Server.PID()
	w := &witness{log: filepath.Join(t.TempDir(), "trace")}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasSuffix(to, ".incr.aof") {
			w.file, w.fd = to, filepath.Base(fd)
		}
	}
	if w.file == "" {
		t.Fatal("the server has no append-only file open")
	}
	// Stopped, so that it writes nothing between the look at the file and the first call that is
	// seen.
	syscall.Kill(pid, syscall.SIGSTOP)
	defer syscall.Kill(pid, syscall.SIGCONT)
	s.Until(10*time.Second, "the server is stopped", func() bool { return state(t, pid) == "T" })
	info, err := os.Stat(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.began = info.Size()
	w.trace = exec.Command("strace", "-f", "-s", "0", "-e", "trace=write,fdatasync,fsync",
		"-e", "signal=none", "-o", w.log, "-p", strconv.Itoa(pid))
	stderr, err := w.trace.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.trace.Start(); err != nil {
		t.Fatalf("strace does not start: %v: is it installed? (make deps)", err)
	}
	t.Cleanup(func() { w.trace.Process.Kill() })
	attached := bufio.NewReader(stderr)
	for {
		line, err := attached.ReadString('\n')
		if err != nil {
			t.Skipf("strace may not watch other processes here: %v", err)
		}
		if strings.Contains(line, "attached") {
			return w
		}
	}
}

// state is a process's, in the letters of /proc.
func state(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

var call = regexp.MustCompile(`^(\d+)\s+(?:(write|fdatasync|fsync)\((\d+)|` +
	`<\.\.\. (write|fdatasync|fsync) resumed>)(.*)$`)

// kept is how much of the file the disk was asked to keep, by what was traced.
func (w *witness) kept(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	written, synced := w.began, w.began
	asked := map[string]int64{}  // by thread: the size when its sync began
	pending := map[string]bool{} // by thread: a write to the file that has not returned
	for line := range strings.Lines(string(b)) {
		m := call.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		thread, what, fd, resumed, rest := m[1], m[2], m[3], m[4], m[5]
		unfinished := strings.Contains(rest, "<unfinished")
		_, result, _ := strings.Cut(rest, "= ")
		n, _ := strconv.ParseInt(strings.Fields(result + " 0")[0], 10, 64)
		switch {
		case what == "write" && fd == w.fd && unfinished:
			pending[thread] = true
		case what == "write" && fd == w.fd:
			written += max(n, 0)
		case resumed == "write" && pending[thread]:
			delete(pending, thread)
			written += max(n, 0)
		case what != "" && what != "write" && fd == w.fd && unfinished:
			asked[thread] = written
		case what != "" && what != "write" && fd == w.fd:
			synced = written
		case resumed != "" && resumed != "write":
			if at, ok := asked[thread]; ok {
				synced = max(synced, at)
				delete(asked, thread)
			}
		}
	}
	return synced
}

// losePower kills the server and takes from its file what the disk was not asked to
// keep.
func (w *witness) losePower(t *testing.T, s *harness.Site) (cut int64) {
	t.Helper()
	s.Server.Kill()
	w.trace.Wait() // ends with what it traces
	info, err := os.Stat(w.file)
	if err != nil {
		t.Fatal(err)
	}
	kept := w.kept(t)
	if kept > info.Size() {
		t.Fatalf("kept %d of %d bytes", kept, info.Size())
	}
	if err := os.Truncate(w.file, kept); err != nil {
		t.Fatal(err)
	}
	return info.Size() - kept
}

func TestAPowerLossCostsWhatWasNotOnDiskAndNoMore(t *testing.T) {
	for _, c := range []struct {
		fsync  string
		window time.Duration // of acknowledgements that may be lost
	}{{"everysec", 2 * time.Second}, {"always", 0}} {
		t.Run(c.fsync, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 19)
			rounds := times(1, 25)
			lost, acked, widest, cut := 0, 0, time.Duration(0), int64(0)
			for range rounds {
				l, a, window, bytes := powerLoss(t, c.fsync)
				lost, acked, widest, cut = lost+l, acked+a, max(widest, window), cut+bytes
			}
			if widest > c.window {
				t.Errorf("pushes of the last %v before the loss are gone", widest)
			}
			row("appendfsync %s, %d losses of power (%d kB cut off): lost %d of %d acknowledged, "+
				"all of the last %.2f s; the rest ran, nothing was corrupt", c.fsync, rounds,
				cut>>10, lost, acked, widest.Seconds())
		})
	}
}

// powerLoss pushes and works for a while, loses the power, and starts again.
func powerLoss(t *testing.T, fsync string) (lost, acked int, window time.Duration, cut int64) {
	t.Helper()
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", fsync,
		"--auto-aof-rewrite-percentage", "0")
	l := newLedger(s)
	serves(s, s.Worker("-c", "3", "-q", "default", "--log-level", "info"))
	w := watch(t, s)
	var mu sync.Mutex
	when := map[string]time.Time{}
	ctx, stop := context.WithCancel(context.Background())
	var producer sync.WaitGroup
	producer.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			// "held" is served by nobody: what is pushed there can only be lost by the power
			id := fmt.Sprint(i)
			q := []string{"default", "held"}[i%2]
			if _, err := s.Client.Push(context.Background(), "Test::Ledger", []any{l.path, id, 1},
				queue.Options{Queue: q, JID: id}); err == nil {
				mu.Lock()
				when[id] = time.Now()
				mu.Unlock()
				l.intend(id)
				l.acknowledge(id)
			}
		}
	})
	<-time.After(3 * time.Second)
	died := time.Now()
	cut = w.losePower(t, s)
	stop()
	producer.Wait()
	s.Server.Restart()
	s.Worker("-c", "3", "-q", "held", "--log-level", "warn")
	s.Settled(40 * time.Second)
	l.read(t)
	for id, at := range when {
		if l.ends[id] == 0 {
			lost++
			window = max(window, died.Sub(at))
		}
	}
	if s.Card("dead")+s.Card("retry") > 0 {
		t.Error("jobs failed: something is corrupt")
	}
	return lost, len(when), window, cut
}
