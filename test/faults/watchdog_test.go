package faults

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// pings is a socket as systemd has it, with a watchdog of ten seconds.
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

// environment tells a program of the socket.
func (p *pings) environment() []string {
	return []string{"NOTIFY_SOCKET=" + p.path, "WATCHDOG_USEC=10000000"}
}

// hear waits for a message that contains a text, for a while.
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

func TestTheWatchdogIsFedByTheLoopsAndByNothingElse(t *testing.T) {
	t.Parallel()
	row := scores(t, 28)
	worst := time.Duration(0)
	for range times(1, 20) {
		s := harness.New(t)
		p := newPings(s)
		l := newLedger(s)
		env := append(p.environment(), "KYU_FAILPOINTS=before_fetch=block@2")
		s.StartWith(env, filepath.Join(harness.Bin, "testworker-failpoints"), "--test-jobs",
			"-c", "1", "-q", "default")
		if !p.hear(10*time.Second, "READY=1") {
			t.Fatal("not ready")
		}
		// more than doorbells bring: the loop fetches for the second time, and hangs
		l.must(t, s, "default", 20, 0)
		blocked, last := time.Now(), time.Now()
		for p.hear(8*time.Second, "WATCHDOG=1") {
			if last = time.Now(); last.Sub(blocked) > 30*time.Second {
				t.Fatal("the watchdog is fed by something else than the loops")
			}
		}
		worst = max(worst, last.Sub(blocked))
	}
	if worst > 5*time.Second {
		t.Errorf("the last ping came %v after the loop had hung", worst)
	}
	row("fetch loop hung %d times: the last ping %.1f s later at most (WatchdogSec=10)",
		times(1, 20), worst.Seconds())
	outage := times2(8*time.Second, 5*time.Minute)
	s := harness.New(t)
	p := newPings(s)
	w := s.StartWith(p.environment(), filepath.Join(harness.Bin, "worker"), "-c", "1")
	if !p.hear(10*time.Second, "READY=1") {
		t.Fatal("not ready")
	}
	s.Server.Kill()
	gap := time.Duration(0)
	for began := time.Now(); time.Since(began) < outage; {
		before := time.Now()
		if !p.hear(10*time.Second, "WATCHDOG=1") {
			t.Fatal("the watchdog would have barked")
		}
		gap = max(gap, time.Since(before))
	}
	lives(t, w)
	row("Redis away for %v: missed pings 0 (longest gap %.1f s), restarts 0", outage, gap.Seconds())
}
