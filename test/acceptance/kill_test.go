package acceptance

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// These tests measure a few seconds, so no others run beside them.
func TestKill(t *testing.T) {
	t.Run("a worker that cannot see others in /proc takes over only those that are dead",
		testHiddenProcesses)
	t.Run("TERM during a long job puts it back as the next of its queue", testLongJob)
}

func testHiddenProcesses(t *testing.T) {
	const hidden = `mount -t proc -o hidepid=2,subset=pid proc /proc && ` +
		`exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
	if out, err := exec.Command("unshare", "--mount", "sh", "-c", hidden, "sh",
		"true").CombinedOutput(); err != nil {
		t.Skipf("a /proc of its own, as hardened units have, is not allowed here: %v %s", err, out)
	}
	s := harness.New(t)
	s.Must(os.Chmod(harness.Bin, 0o755))
	seen := s.Worker("-c", "1")
	s.Push("Test::Sleep", []any{60_000}, queue.Options{})
	s.Until(10*time.Second, "the job runs", func() bool { return seen.Says("start") })
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	s.Must(err)
	blind := s.Start("env",
		"KYU_BOOT_ID="+strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", ""), "unshare",
		"--mount", "sh", "-c", hidden, "sh", harness.Program("testworker"), "--test-jobs",
		"-c", "1")
	s.Until(10*time.Second, "the blind worker serves", func() bool { return blind.Says("Serving") })
	<-time.After(4 * time.Second) // it checks the owners several times
	s.Equal("the blind worker takes the other for dead", blind.Says("a worker is dead"), false)
	s.Equal("the other worker has lost its lease",
		seen.Says("lease of this process is lost"), false)
	seen.Kill() // the kernel tells every user that a pid is gone
	killed := time.Now()
	s.Until(10*time.Second, "the job runs again", func() bool { return blind.Says("start") })
	harness.Between(t, "time until the job runs again", time.Since(killed), 0, 2*time.Second)
}

func testLongJob(t *testing.T) {
	s := harness.New(t)
	w := s.Worker("-c", "1", "-t", "1", "-q", "default")
	s.Push("Test::Sleep", []any{60_000}, queue.Options{Retry: queue.RetryMax(0)})
	s.Until(10*time.Second, "the job runs", func() bool { return w.Says("start") })
	inFlight := s.Raw.HVals(s.Context(), s.Raw.Keys(s.Context(), "kyu:*inflight*").Val()[0]).Val()
	s.Equal("jobs in flight", len(inFlight), 1)
	s.Push("Test::NoOp", nil, queue.Options{})
	start := time.Now()
	w.Signal(syscall.SIGTERM)
	s.Equal("exit code", w.Exit(6*time.Second), 0)
	harness.Between(t, "time to stop with -t 1", time.Since(start), 0, 3*time.Second)
	waiting := s.Raw.LRange(s.Context(), "queue:default", 0, -1).Val()
	if len(waiting) != 2 || waiting[1] != inFlight[0] {
		s.Errorf("the queue holds %q, want two jobs, and as the next to run %s", waiting, inFlight)
	}
	s.Equal("jobs in flight after the stop", s.InFlight(), 0)
	s.Equal("failures", s.Card("retry")+s.Card("dead"), 0)
}
