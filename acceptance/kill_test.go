package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// produce pushes ledger jobs until stop is closed, and returns the ids that
// Redis acknowledged.
func produce(s *site, stop <-chan struct{}, every time.Duration, ms int) (acked map[string]bool, wait func()) {
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
			_, err := s.client.Push(context.Background(), "Test::Ledger", []any{s.ledgerPath(), id, ms},
				queue.Options{Queue: fourQueues[i%4], JID: "job" + id, Idempotent: true})
			if err == nil {
				acked[id] = true
			}
		}
	}()
	return acked, done.Wait
}

// countAll counts in one moment what waits and what is in flight: between two
// readings a job can go from the one to the other.
const countAll = `local n = 0
for _, key in ipairs(redis.call('KEYS', 'queue:*')) do n = n + redis.call('LLEN', key) end
for _, key in ipairs(redis.call('KEYS', 'kyu:{queue:*')) do
  if string.find(key, ':inflight:') then n = n + redis.call('HLEN', key) else n = n + redis.call('LLEN', key) end
end
return n`

// settled waits until everything has run and nothing is in anybody's hands.
func (s *site) settled(limit time.Duration) {
	s.Helper()
	s.until(limit, "the queues are empty and nothing is in flight", func() bool {
		n, err := s.raw.Eval(context.Background(), countAll, nil).Int()
		return err == nil && n == 0
	})
}

// verify asserts the law: what was acknowledged has ended at least once.
func (s *site) verify(acked map[string]bool) (duplicates int) {
	s.Helper()
	starts, ends, _ := s.ledger()
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
	if n := s.card("retry") + s.card("dead"); n > 0 {
		s.Errorf("%d jobs failed", n)
	}
	return duplicates
}

func TestAHundredKillsLoseNothing(t *testing.T) {
	const kills, threads = 100, 15
	s := newSite(t)
	stop := make(chan struct{})
	acked, wait := produce(s, stop, 500*time.Microsecond, 2)
	workers := make([]*process, 3)
	for i := range workers {
		workers[i] = s.worker("-c", fmt.Sprint(threads), "--log-level", "warn")
	}
	for range kills {
		<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond)
		i := rand.IntN(len(workers))
		workers[i].kill()
		workers[i] = s.worker("-c", fmt.Sprint(threads), "--log-level", "warn")
	}
	close(stop)
	wait()
	s.settled(30 * time.Second)
	// A job that was in flight at three kills is taken for poison. These are
	// innocent: an operator brings them back.
	innocent, err := s.store.DeadSet().All(t.Context(), s.store.DeadSet().Retry)
	if err != nil || innocent > 5 {
		t.Errorf("%d jobs were taken for poison, %v", innocent, err)
	}
	s.settled(30 * time.Second)
	dups := s.verify(acked)
	if dups > kills*threads {
		t.Errorf("%d jobs ended twice, more than were in flight", dups)
	}
	t.Logf("%d kills, %d jobs acknowledged, %d ended twice, %d taken for poison and brought back", kills, len(acked), dups, innocent)
}

func TestAPeerOnTheSameHostTakesOverWithinTwoSeconds(t *testing.T) {
	s := newSite(t)
	victim := s.worker("-c", "5")
	for i := range 5 {
		s.push("Test::Ledger", []any{s.ledgerPath(), fmt.Sprint(i), 60_000}, queue.Options{})
	}
	s.until(10*time.Second, "all run", func() bool { starts, _, _ := s.ledger(); return len(starts) == 5 })
	heir := s.worker("-c", "5")
	s.until(10*time.Second, "a peer runs", func() bool { return heir.says("Serving") })
	killed := time.Now()
	victim.kill()
	s.until(10*time.Second, "all run again", func() bool { starts, _, _ := s.ledger(); return starts["4"] == 2 && starts["0"] == 2 })
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
	s := newSite(t)
	victim := s.start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", bin+"/worker", "--test-jobs", "-c", "1")
	s.push("Test::Ledger", []any{s.ledgerPath(), "x", 60_000}, queue.Options{})
	s.until(10*time.Second, "it runs", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 1 })
	heir := s.worker("-c", "1")
	s.until(10*time.Second, "a peer runs", func() bool { return heir.says("Serving") })
	// The peer is fresh: it waits for one lease before it judges others, the
	// longest that this can take.
	killed := time.Now()
	victim.kill()
	s.until(20*time.Second, "it runs again", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 2 })
	took := time.Since(killed)
	t.Logf("taken over after %v", took.Round(time.Millisecond))
	if took > 15*time.Second {
		t.Errorf("taken over after %v, want 15 s at most", took)
	}
}

func TestAStoppedProcessThatWakesUpFindsItsJobsTaken(t *testing.T) {
	s := newSite(t)
	zombie := s.worker("-c", "2")
	s.push("Test::Ledger", []any{s.ledgerPath(), "x", 2_000}, queue.Options{Retry: queue.RetryMax(0)})
	s.until(10*time.Second, "it runs", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 1 })
	zombie.signal(syscall.SIGSTOP)
	s.worker("-c", "2")
	s.until(30*time.Second, "a peer has run it", func() bool { _, ends, _ := s.ledger(); return ends["x"] == 1 })
	s.settled(5 * time.Second)
	zombie.signal(syscall.SIGCONT)
	s.until(10*time.Second, "it goes on under a new identity", func() bool { return zombie.says("goes on under a new identity") })
	s.push("Test::Ledger", []any{s.ledgerPath(), "y", 0}, queue.Options{})
	s.settled(5 * time.Second)
	s.verify(map[string]bool{"x": true, "y": true})
}

func TestTermWithShortJobsRunsNothingTwice(t *testing.T) {
	s := newSite(t)
	stop := make(chan struct{})
	acked, wait := produce(s, stop, time.Millisecond, 20)
	workers := []*process{s.worker("-c", "5"), s.worker("-c", "5")}
	for range 6 { // a rolling deploy
		for i, w := range workers {
			s.until(10*time.Second, "it serves", func() bool { return w.says("start") })
			w.signal(syscall.SIGTERM)
			if code := w.exit(10 * time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			workers[i] = s.worker("-c", "5")
		}
	}
	close(stop)
	wait()
	s.settled(30 * time.Second)
	if dups := s.verify(acked); dups > 0 {
		t.Errorf("%d jobs ended twice", dups)
	}
	if starts, _, _ := s.ledger(); len(acked) < 100 {
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
	s := newSite(t)
	w := s.worker("-c", "1", "-t", "1", "-q", "default")
	long := s.push("Test::Sleep", []any{60_000}, queue.Options{Retry: queue.RetryMax(0)})
	s.until(10*time.Second, "it runs", func() bool { return w.says("start") })
	before := s.raw.HVals(t.Context(), s.raw.Keys(t.Context(), "kyu:*inflight*").Val()[0]).Val()
	s.push("Test::NoOp", nil, queue.Options{})
	start := time.Now()
	w.signal(syscall.SIGTERM)
	if code := w.exit(6 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("stopped after %v with -t 1", took)
	}
	got := s.raw.LRange(t.Context(), "queue:default", 0, -1).Val()
	if len(got) != 2 || len(before) != 1 || got[1] != before[0] {
		t.Errorf("the queue holds %q, want %s, byte for byte, as the next to run", got, long)
	}
	if s.inFlight() != 0 || s.card("retry")+s.card("dead") != 0 {
		t.Error("it is elsewhere too")
	}
}

func TestTermWhileRedisIsDownExitsInTimeAndLosesNothing(t *testing.T) {
	s := newSite(t, "--appendonly", "yes", "--appendfsync", "everysec")
	w := s.worker("-c", "1", "-t", "1")
	s.push("Test::Ledger", []any{s.ledgerPath(), "x", 3_000}, queue.Options{})
	s.until(10*time.Second, "it runs", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 1 })
	s.server.Kill()
	start := time.Now()
	w.signal(syscall.SIGTERM)
	w.exit(15 * time.Second)
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("stopped after %v", took)
	}
	s.server.Restart()
	s.worker("-c", "1")
	s.until(20*time.Second, "it has run", func() bool { _, ends, _ := s.ledger(); return ends["x"] == 1 })
}

func TestTermWhileRedisHangsExitsInTimeAndLosesNothing(t *testing.T) {
	s := newSite(t)
	w := s.worker("-c", "2", "-t", "1")
	s.push("Test::Ledger", []any{s.ledgerPath(), "x", 60_000}, queue.Options{})
	s.until(10*time.Second, "it runs", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 1 })
	if err := syscall.Kill(s.server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.signal(syscall.SIGTERM)
	w.exit(30 * time.Second)
	took := time.Since(start)
	syscall.Kill(s.server.PID(), syscall.SIGCONT)
	t.Logf("stopped after %v with -t 1", took.Round(time.Millisecond))
	if took > 12*time.Second {
		t.Errorf("stopped after %v", took)
	}
	s.worker("-c", "1")
	s.until(20*time.Second, "it runs again", func() bool { starts, _, _ := s.ledger(); return starts["x"] == 2 })
}

// outages counts how often workers have noticed that Redis is away.
func outages(workers []*process) (n int) {
	for _, w := range workers {
		n += strings.Count(w.log.String(), "does not serve us")
	}
	return n
}

func TestRedisKilledUnderLoadLosesNothing(t *testing.T) {
	s := newSite(t, "--appendonly", "yes", "--appendfsync", "everysec")
	stop := make(chan struct{})
	acked, wait := produce(s, stop, time.Millisecond, 1)
	var workers []*process
	for range 2 {
		workers = append(workers, s.worker("-c", "10", "--log-level", "warn"))
	}
	for range 5 {
		n := new(atomic.Int64)
		_, ends, _ := s.ledger()
		s.until(20*time.Second, "jobs run", func() bool { _, now, _ := s.ledger(); n.Store(int64(len(now))); return len(now) > len(ends)+200 })
		seen := outages(workers)
		s.server.Kill()
		s.until(20*time.Second, "a worker notices", func() bool { return outages(workers) > seen })
		s.server.Restart()
	}
	close(stop)
	wait()
	s.settled(60 * time.Second)
	dups := s.verify(acked)
	t.Logf("5 kills of Redis, %d jobs acknowledged, none lost, %d ended twice", len(acked), dups)
	for _, w := range workers {
		select {
		case <-w.done:
			t.Error("a worker has ended for it")
		default:
		}
	}
}

func TestARedisOverMaxmemoryIsDrained(t *testing.T) {
	s := newSite(t, "--maxmemory-policy", "noeviction")
	for i := range 500 {
		s.push("Test::Ledger", []any{s.ledgerPath(), fmt.Sprint(i), 0}, queue.Options{})
	}
	s.raw.ConfigSet(t.Context(), "maxmemory", "1")
	s.worker("-c", "15", "--log-level", "warn")
	s.until(20*time.Second, "all have run", func() bool { _, ends, _ := s.ledger(); return len(ends) == 500 })
	s.settled(10 * time.Second)
}
