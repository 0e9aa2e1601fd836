package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestTakeover(t *testing.T) {
	t.Run("on the same host takes 2 s at most and counts no retry", func(t *testing.T) {
		timeTakeovers(t, "on the same host", 2*time.Second, nil)
	})
	t.Parallel() // the other one waits for the end of a lease
	t.Run("elsewhere takes 15 s at most and counts no retry", func(t *testing.T) {
		if err := exec.Command("unshare", "--pid", "--fork", "true").Run(); err != nil {
			t.Skip("needs unshare --pid, to run workers whose pids others cannot see: ", err)
		}
		timeTakeovers(t, "elsewhere", 15*time.Second,
			[]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"})
	})
}

// timeTakeovers checks that takeovers take no longer than limit. command starts the workers that
// are killed.
func timeTakeovers(t *testing.T, where string, limit time.Duration, command []string) {
	t.Helper()
	row := scores(t, 3)
	var took []time.Duration
	for range bySize(1, 20) {
		took = append(took, takeovers(t, command, 10)...)
	}
	p99 := percentile(took, 0.99)
	row("kill -9 to the second run, %s, %d times: p50 %.1f s, p99 %.1f s; retry counts "+
		"changed 0", where, len(took), percentile(took, 0.5).Seconds(), p99.Seconds())
	if p99 > limit {
		t.Errorf("jobs ran again %v after the kill (p99), want %v at most", p99, limit)
	}
}

// takeovers kills n workers at once. Each runs a job. It returns the times until a peer, which runs
// already, has started the jobs again.
func takeovers(t *testing.T, command []string, n int) (took []time.Duration) {
	t.Helper()
	s := harness.New(t)
	var killed []*harness.Process
	for i := range n {
		args := append(append([]string{}, command...), filepath.Join(harness.Bin, "testworker"),
			"--test-jobs", "--log-format", "plain", "-c", "1", "-q", "default")
		killed = append(killed, untilServing(s, s.Start(args[0], args[1:]...)))
		s.Push("Test::Slow", []any{120_000}, queue.Options{JID: fmt.Sprint(i),
			Retry: queue.RetryMax(0)})
	}
	s.Until(20*time.Second, "each worker has a job",
		func() bool { return len(s.Records("run")) == n })
	peer := untilServing(s, s.Worker("-c", fmt.Sprint(n), "-q", "default"))
	s.Until(20*time.Second, "the peer has looked at its queue", func() bool {
		return strings.Contains(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove")
	})
	at := time.Now()
	for _, p := range killed {
		p.Signal(syscall.SIGKILL)
	}
	for i := range n {
		s.Until(30*time.Second, "the next job runs again",
			func() bool { return len(s.Records("run")) > n+i })
		took = append(took, time.Since(at))
	}
	for _, r := range s.Records("run")[n:] {
		if strings.Contains(string(r.Job), "retry_count") {
			t.Errorf("the crash was counted as a retry: %s", r.Job)
		}
	}
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs are in the retry set or dead", n)
	}
	peer.Kill()
	return took
}
