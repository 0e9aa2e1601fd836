package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/harness"
	"github.com/kyujobs/kyu/queue"
)

// produce pushes jobs that write to a ledger until stop is closed, and returns the ids that
// Redis acknowledged.
func produce(s *harness.Site, ledger string, stop <-chan struct{}, every time.Duration, ms int) (acked map[string]bool, wait func()) {
	acked = map[string]bool{}
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			id := fmt.Sprint(i)
			_, err := s.Client.Push(context.Background(), "Test::Ledger", []any{ledger, id, ms},
				queue.Options{Queue: fourQueues[i%4], JID: "job" + id, Idempotent: true})
			if err == nil {
				acked[id] = true
			}
		}
	}()
	return acked, done.Wait
}

// verify asserts the law: what was acknowledged has ended at least once.
func verify(s *harness.Site, acked map[string]bool) (duplicates int) {
	s.Helper()
	starts, ends, _ := s.Ledger()
	lost := 0
	for id := range acked {
		if ends[id] == 0 {
			lost++
			s.Logf("lost: %s, started %d times", id, starts[id])
		}
	}
	for _, n := range ends {
		duplicates += n - 1
	}
	if lost > 0 || len(acked) == 0 {
		s.Errorf("%d of %d acknowledged jobs were lost", lost, len(acked))
	}
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		s.Errorf("%d jobs failed", n)
	}
	return duplicates
}

func TestAHundredKillsLoseNothing(t *testing.T) {
	const kills, threads = 100, 15
	s := harness.New(t)
	stop := make(chan struct{})
	acked, wait := produce(s, s.LedgerPath(), stop, 500*time.Microsecond, 2)
	workers := make([]*harness.Process, 3)
	for i := range workers {
		workers[i] = s.Worker("-c", fmt.Sprint(threads), "--log-level", "warn")
	}
	for range kills {
		<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond)
		i := rand.IntN(len(workers))
		workers[i].Kill()
		workers[i] = s.Worker("-c", fmt.Sprint(threads), "--log-level", "warn")
	}
	close(stop)
	wait()
	s.Settled(30 * time.Second)
	// A job that was in flight at three kills is taken for poison. These are
	// innocent: an operator brings them back.
	innocent, err := s.Store.DeadSet().All(t.Context(), s.Store.DeadSet().Retry)
	if err != nil || innocent > 5 {
		t.Errorf("%d jobs were taken for poison, %v", innocent, err)
	}
	s.Settled(30 * time.Second)
	dups := verify(s, acked)
	if dups > kills*threads {
		t.Errorf("%d jobs ended twice, more than were in flight", dups)
	}
	t.Logf("%d kills, %d jobs acknowledged, %d ended twice, %d taken for poison and brought back", kills, len(acked), dups, innocent)
}

func TestAPeerOnTheSameHostTakesOverWithinTwoSeconds(t *testing.T) {
	s := harness.New(t)
	victim := s.Worker("-c", "5")
	for i := range 5 {
		s.Push("Test::Ledger", []any{s.LedgerPath(), fmt.Sprint(i), 60_000}, queue.Options{})
	}
	s.Until(10*time.Second, "all run", func() bool { starts, _, _ := s.Ledger(); return len(starts) == 5 })
	heir := s.Worker("-c", "5")
	s.Until(10*time.Second, "a peer runs", func() bool { return heir.Says("Serving") })
	killed := time.Now()
	victim.Kill()
	s.Until(10*time.Second, "all run again", func() bool { starts, _, _ := s.Ledger(); return starts["4"] == 2 && starts["0"] == 2 })
	took := time.Since(killed)
	t.Logf("taken over after %v", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("taken over after %v, want 2 s at most", took)
	}
}

func TestAPeerThatCannotSeeTheProcessTakesOverByItsLease(t *testing.T) {
	if err := exec.Command("unshare", "--pid", "--fork", "true").Run(); err != nil {
		t.Skip("needs unshare --pid, to run a worker whose pid others cannot see: ", err)
	}
	s := harness.New(t)
	victim := s.Start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", harness.Bin+"/worker", "--test-jobs", "-c", "1")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 60_000}, queue.Options{})
	s.Until(10*time.Second, "it runs", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 1 })
	heir := s.Worker("-c", "1")
	s.Until(10*time.Second, "a peer runs", func() bool { return heir.Says("Serving") })
	// The peer is fresh: it waits for one lease before it judges others, the
	// longest that this can take.
	killed := time.Now()
	victim.Kill()
	s.Until(20*time.Second, "it runs again", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 2 })
	took := time.Since(killed)
	t.Logf("taken over after %v", took.Round(time.Millisecond))
	if took > 15*time.Second {
		t.Errorf("taken over after %v, want 15 s at most", took)
	}
}

func TestAWorkerThatCannotSeeOthersInProcDoesNotTakeThemForDead(t *testing.T) {
	const hidden = `mount -t proc -o hidepid=2,subset=pid proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
	if out, err := exec.Command("unshare", "--mount", "sh", "-c", hidden, "sh", "true").CombinedOutput(); err != nil {
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
	blind := s.Start("env", "KYU_BOOT_ID="+strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", ""), "unshare", "--mount", "sh", "-c", hidden, "sh", harness.Bin+"/worker", "--test-jobs", "-c", "1")
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

func TestAStoppedProcessThatWakesUpFindsItsJobsTaken(t *testing.T) {
	s := harness.New(t)
	zombie := s.Worker("-c", "2")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 2_000}, queue.Options{Retry: queue.RetryMax(0)})
	s.Until(10*time.Second, "it runs", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 1 })
	zombie.Signal(syscall.SIGSTOP)
	s.Worker("-c", "2")
	s.Until(30*time.Second, "a peer has run it", func() bool { _, ends, _ := s.Ledger(); return ends["x"] == 1 })
	s.Settled(5 * time.Second)
	zombie.Signal(syscall.SIGCONT)
	s.Until(10*time.Second, "it goes on under a new identity", func() bool { return zombie.Says("goes on under a new identity") })
	s.Push("Test::Ledger", []any{s.LedgerPath(), "y", 0}, queue.Options{})
	s.Settled(5 * time.Second)
	verify(s, map[string]bool{"x": true, "y": true})
}

func TestTermWithShortJobsRunsNothingTwice(t *testing.T) {
	s := harness.New(t)
	stop := make(chan struct{})
	acked, wait := produce(s, s.LedgerPath(), stop, time.Millisecond, 20)
	workers := []*harness.Process{s.Worker("-c", "5"), s.Worker("-c", "5")}
	for range 6 { // a rolling deploy
		for i, w := range workers {
			s.Until(10*time.Second, "it serves", func() bool { return w.Says("start") })
			w.Signal(syscall.SIGTERM)
			if code := w.Exit(10 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			workers[i] = s.Worker("-c", "5")
		}
	}
	close(stop)
	wait()
	s.Settled(30 * time.Second)
	if dups := verify(s, acked); dups > 0 {
		t.Errorf("%d jobs ended twice", dups)
	}
	if starts, _, _ := s.Ledger(); len(acked) < 100 {
		t.Errorf("only %d jobs: the test tests little", len(starts))
	} else {
		for id, n := range starts {
			if n > 1 {
				t.Errorf("%s started %d times", id, n)
			}
		}
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

func TestTermWhileRedisIsDownExitsInTimeAndLosesNothing(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec")
	w := s.Worker("-c", "1", "-t", "1")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 3_000}, queue.Options{})
	s.Until(10*time.Second, "it runs", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 1 })
	s.Server.Kill()
	start := time.Now()
	w.Signal(syscall.SIGTERM)
	w.Exit(15 * time.Second)
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("stopped after %v", took)
	}
	s.Server.Restart()
	s.Worker("-c", "1")
	s.Until(20*time.Second, "it has run", func() bool { _, ends, _ := s.Ledger(); return ends["x"] == 1 })
}

func TestTermWhileRedisHangsExitsInTimeAndLosesNothing(t *testing.T) {
	s := harness.New(t)
	w := s.Worker("-c", "2", "-t", "1")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 60_000}, queue.Options{})
	s.Until(10*time.Second, "it runs", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 1 })
	if err := syscall.Kill(s.Server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.Signal(syscall.SIGTERM)
	w.Exit(30 * time.Second)
	took := time.Since(start)
	syscall.Kill(s.Server.PID(), syscall.SIGCONT)
	t.Logf("stopped after %v with -t 1", took.Round(time.Millisecond))
	if took > 12*time.Second {
		t.Errorf("stopped after %v", took)
	}
	s.Worker("-c", "1")
	s.Until(20*time.Second, "it runs again", func() bool { starts, _, _ := s.Ledger(); return starts["x"] == 2 })
}

// outages counts how often workers have noticed that Redis is away.
func outages(workers []*harness.Process) (n int) {
	for _, w := range workers {
		n += strings.Count(w.Log(), "does not serve us")
	}
	return n
}

func TestRedisKilledUnderLoadLosesNothing(t *testing.T) {
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec")
	stop := make(chan struct{})
	acked, wait := produce(s, s.LedgerPath(), stop, time.Millisecond, 1)
	var workers []*harness.Process
	for range 2 {
		workers = append(workers, s.Worker("-c", "10", "--log-level", "warn"))
	}
	for range 5 {
		n := new(atomic.Int64)
		_, ends, _ := s.Ledger()
		s.Until(20*time.Second, "jobs run", func() bool { _, now, _ := s.Ledger(); n.Store(int64(len(now))); return len(now) > len(ends)+200 })
		seen := outages(workers)
		s.Server.Kill()
		s.Until(20*time.Second, "a worker notices", func() bool { return outages(workers) > seen })
		s.Server.Restart()
	}
	close(stop)
	wait()
	s.Settled(60 * time.Second)
	dups := verify(s, acked)
	t.Logf("5 kills of Redis, %d jobs acknowledged, none lost, %d ended twice", len(acked), dups)
	for _, w := range workers {
		select {
		case <-w.Done:
			t.Error("a worker has ended for it")
		default:
		}
	}
}

func TestARedisOverMaxmemoryIsDrained(t *testing.T) {
	s := harness.New(t, "--maxmemory-policy", "noeviction")
	for i := range 500 {
		s.Push("Test::Ledger", []any{s.LedgerPath(), fmt.Sprint(i), 0}, queue.Options{})
	}
	s.Raw.ConfigSet(t.Context(), "maxmemory", "1")
	s.Worker("-c", "15", "--log-level", "warn")
	s.Until(20*time.Second, "all have run", func() bool { _, ends, _ := s.Ledger(); return len(ends) == 500 })
	s.Settled(10 * time.Second)
}
