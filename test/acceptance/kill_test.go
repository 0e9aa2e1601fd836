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

func TestAWorkerThatCannotSeeOthersInProcDoesNotTakeThemForDead(t *testing.T) {
	const hidden = `mount -t proc -o hidepid=2,subset=pid proc /proc && ` +
		`exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
	if out, err := exec.Command("unshare", "--mount", "sh", "-c", hidden, "sh",
		"true").CombinedOutput(); err != nil {
		t.Skipf("needs a /proc of its own, as hardened units have: %v %s", err, out)
	}
	s := harness.New(t)
	if err := os.Chmod(harness.Bin, 0o755); err != nil {
		t.Fatal(err)
	}
	seen := s.Worker("-c", "1")
	s.Push("Test::Sleep", []any{60_000}, queue.Options{})
	s.Until(10*time.Second, "it runs", func() bool { return seen.Says("start") })
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	blind := s.Start("env",
		"KYU_BOOT_ID="+strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", ""), "unshare",
		"--mount", "sh", "-c", hidden, "sh", harness.Bin+"/testworker", "--test-jobs", "-c", "1")
	s.Until(10*time.Second, "a peer runs", func() bool { return blind.Says("Serving") })
	<-time.After(4 * time.Second) // several looks at the owners
	if blind.Says("a worker is dead") || seen.Says("lease of this process is lost") {
		t.Fatal("a living worker was taken for dead")
	}
	seen.Kill() // which the kernel tells even to who may not see
	killed := time.Now()
	s.Until(10*time.Second, "it runs again", func() bool { return blind.Says("start") })
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("taken over after %v, want 2 s at most", took)
	}
}

func TestTermWithALongJobPutsItBackAtTheHead(t *testing.T) {
	s := harness.New(t)
	w := s.Worker("-c", "1", "-t", "1", "-q", "default")
	long := s.Push("Test::Sleep", []any{60_000}, queue.Options{Retry: queue.RetryMax(0)})
	s.Until(10*time.Second, "it runs", func() bool { return w.Says("start") })
	before := s.Raw.HVals(t.Context(), s.Raw.Keys(t.Context(), "kyu:*inflight*").Val()[0]).Val()
	s.Push("Test::NoOp", nil, queue.Options{})
	start := time.Now()
	w.Signal(syscall.SIGTERM)
	if code := w.Exit(6 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("stopped after %v with -t 1", took)
	}
	got := s.Raw.LRange(t.Context(), "queue:default", 0, -1).Val()
	if len(got) != 2 || len(before) != 1 || got[1] != before[0] {
		t.Errorf("the queue holds %q, want %s, byte for byte, as the next to run", got, long)
	}
	if s.InFlight() != 0 || s.Card("retry")+s.Card("dead") != 0 {
		t.Error("it is elsewhere too")
	}
}
