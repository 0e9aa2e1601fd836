package faults

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// pings is a socket like systemd's, for a service with WatchdogSec=10.
type pings struct {
	conn *net.UnixConn
	path string
}

func newPings(s *harness.Site) *pings {
	s.Helper()
	path := filepath.Join(s.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	return &pings{conn, path}
}

// environment returns the variables that systemd gives to a service.
func (p *pings) environment() []string {
	return []string{"NOTIFY_SOCKET=" + p.path, "WATCHDOG_USEC=10000000"}
}

// hear waits up to limit for a message that contains a text.
func (p *pings) hear(limit time.Duration, text string) bool {
	p.conn.SetReadDeadline(time.Now().Add(limit))
	for b := make([]byte, 4096); ; {
		n, err := p.conn.Read(b)
		if err != nil {
			return false
		}
		if strings.Contains(string(b[:n]), text) {
			return true
		}
	}
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	t.Run("gets its last ping within 5 s of a hang of the fetch loop", hangFetchLoop)
	t.Run("gets pings while Redis is away", pingWithoutRedis)
}

func hangFetchLoop(t *testing.T) {
	t.Parallel()
	row := scores(t, 28)
	worst, hangs := time.Duration(0), bySize(1, 20)
	for range hangs {
		s := harness.New(t)
		p := newPings(s)
		l := newLedger(s)
		env := append(p.environment(), "KYU_FAILPOINTS=before_fetch=block@2")
		s.StartWith(env, filepath.Join(harness.Bin, "testworker-failpoints"), "--test-jobs",
			"-c", "1", "-q", "default")
		if !p.hear(10*time.Second, "READY=1") {
			t.Fatal("the worker is not ready")
		}
		// These are more jobs than doorbells bring: the loop fetches a second time, and hangs.
		l.mustPush(t, s, "default", 20, 0)
		blocked, last := time.Now(), time.Now()
		for p.hear(8*time.Second, "WATCHDOG=1") {
			if last = time.Now(); last.Sub(blocked) > 30*time.Second {
				t.Fatal("pings still come 30 s after the fetch loop has hung")
			}
		}
		worst = max(worst, last.Sub(blocked))
	}
	if worst > 5*time.Second {
		t.Errorf("the last ping came %v after the loop had hung, want 5 s at most", worst)
	}
	row("fetch loop hung %d times: the last ping %.1f s later at most (WatchdogSec=10)", hangs,
		worst.Seconds())
}

func pingWithoutRedis(t *testing.T) {
	t.Parallel()
	row := scores(t, 28)
	outage := bySize(8*time.Second, 5*time.Minute)
	s := harness.New(t)
	p := newPings(s)
	w := s.StartWith(p.environment(), filepath.Join(harness.Bin, "worker"), "-c", "1")
	if !p.hear(10*time.Second, "READY=1") {
		t.Fatal("the worker is not ready")
	}
	s.Server.Kill()
	gap := time.Duration(0)
	for began := time.Now(); time.Since(began) < outage; {
		before := time.Now()
		if !p.hear(10*time.Second, "WATCHDOG=1") {
			t.Fatal("no ping for 10 s: systemd would restart the worker")
		}
		gap = max(gap, time.Since(before))
	}
	stillRuns(t, w)
	row("Redis away for %v: missed pings 0 (longest gap %.1f s), restarts 0", outage, gap.Seconds())
}
