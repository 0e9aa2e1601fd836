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

// syncTrace records with strace what a server writes to its append-only file, and when it tells the
// disk to keep that (fdatasync). A loss of power takes the bytes that were not yet kept.
type syncTrace struct {
	trace *exec.Cmd
	log   string
	file  string
	fd    string
	began int64 // the size of the file at the start of the trace
}

// traceSyncs starts a trace.
func traceSyncs(t *testing.T, s *harness.Site) *syncTrace {
	t.Helper()
	pid := s.Server.PID()
	w := &syncTrace{log: filepath.Join(t.TempDir(), "trace")}
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
	// The server is suspended, so that it writes nothing between the Stat and the start of strace.
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
			t.Skipf("strace may not trace other processes here: %v", err)
		}
		if strings.Contains(line, "attached") {
			return w
		}
	}
}

// state returns the state of a process, as the letter of /proc/PID/stat.
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

// synced returns how many bytes of the file the disk was told to keep, according to the trace.
func (w *syncTrace) synced(t *testing.T) int64 {
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

// losePower kills the server, and cuts off the bytes of its file that the disk was not told to
// keep.
func (w *syncTrace) losePower(t *testing.T, s *harness.Site) (cut int64) {
	t.Helper()
	s.Server.Kill()
	w.trace.Wait() // strace ends when the server has ended
	info, err := os.Stat(w.file)
	if err != nil {
		t.Fatal(err)
	}
	kept := w.synced(t)
	if kept > info.Size() {
		t.Fatalf("the disk was told to keep %d bytes of a file of %d", kept, info.Size())
	}
	if err := os.Truncate(w.file, kept); err != nil {
		t.Fatal(err)
	}
	return info.Size() - kept
}

func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		behaviour, fsync string
		window           time.Duration // before the loss, in which pushes may be lost
	}{
		{"with appendfsync everysec loses the pushes of the last 2 s at most", "everysec",
			2 * time.Second},
		{"with appendfsync always loses nothing", "always", 0},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 19)
			rounds := bySize(1, 25)
			lost, acked, widest, cut := 0, 0, time.Duration(0), int64(0)
			for range rounds {
				l, a, window, bytes := powerLoss(t, c.fsync)
				lost, acked, widest, cut = lost+l, acked+a, max(widest, window), cut+bytes
			}
			if widest > c.window {
				t.Errorf("a push is lost that was %v before the loss of power, want %v at most",
					widest, c.window)
			}
			row("appendfsync %s, %d losses of power (%d kB cut off): lost %d of %d acknowledged, "+
				"all of the last %.2f s; the rest ran, nothing was corrupt", c.fsync, rounds,
				cut>>10, lost, acked, widest.Seconds())
		})
	}
}

// powerLoss pushes and runs jobs for 3 s, loses the power, and starts Redis again. window is the
// time between the oldest push that is lost and the loss of power.
func powerLoss(t *testing.T, fsync string) (lost, acked int, window time.Duration, cut int64) {
	t.Helper()
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", fsync,
		"--auto-aof-rewrite-percentage", "0")
	l := newLedger(s)
	untilServing(s, s.Worker("-c", "3", "-q", "default", "--log-level", "info"))
	w := traceSyncs(t, s)
	var mu sync.Mutex
	when := map[string]time.Time{}
	ctx, stop := context.WithCancel(context.Background())
	var producer sync.WaitGroup
	producer.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			// no worker serves "held" before the loss, so only the loss can take its jobs
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
		t.Error("jobs failed: payloads are corrupt")
	}
	return lost, len(when), window, cut
}
