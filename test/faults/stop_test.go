package faults

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// lease is how long a worker may be silent.
const lease = 10 * time.Second

// paused starts workers with jobs in their hands, stops them all with SIGSTOP for a
// while, and lets them go on.
func paused(t *testing.T, s *harness.Site, n int, d time.Duration, push func(i int),
	meanwhile func()) []*harness.Process {
	t.Helper()
	var all []*harness.Process
	for range n {
		all = append(all, serves(s, s.Worker("-c", "2", "-q", "default")))
	}
	for i := range 2 * n { // after all have started: the first must not end before the last begins
		push(i)
	}
	s.Until(20*time.Second, "each has its jobs", func() bool {
		return s.InFlight() == int64(2*n) && s.Waiting() == 0
	})
	for _, p := range all {
		p.Signal(syscall.SIGSTOP)
	}
	meanwhile()
	<-time.After(d)
	for _, p := range all {
		p.Signal(syscall.SIGCONT)
	}
	return all
}

func TestAZombieSettlesNothing(t *testing.T) {
	t.Parallel()
	row := scores(t, 5)
	together := times(3, 20)
	stale, twice := 0, 0
	for round := range times(1, 10) {
		s := harness.New(t)
		l := newLedger(s)
		// judges the others, and does not serve their queue
		serves(s, s.Worker("-c", fmt.Sprint(2*together), "-q", "other"))
		push := func(i int) {
			if i%2 == 0 {
				l.must(t, s, "default", 1, 4000)
				return
			}
			s.Push("Test::FailAfter", []any{4000, "fails"}, queue.Options{JID: fmt.Sprint("f", i)})
		}
		zombies := paused(t, s, together, 2*lease, push, func() {
			if round%2 == 0 { // else it is they who run the jobs again, when they wake
				s.Worker("-c", fmt.Sprint(2*together), "-q", "default")
			}
		})
		s.Until(20*time.Second, "they go on under new identities", func() bool {
			for _, z := range zombies {
				if !z.Says("goes on under a new identity") {
					return false
				}
			}
			return true
		})
		// Each fails once for good: a second entry is a failure that counted twice.
		s.Until(40*time.Second, "all has run", func() bool {
			return s.Waiting()+s.InFlight() == 0 && s.Card("retry") == int64(together)
		})
		for _, raw := range s.Raw.ZRange(t.Context(), "retry", 0, -1).Val() {
			if j, err := envelope.ParseJob(raw); err != nil || j.Field("retry_count") != "0" {
				t.Errorf("the zombie's failure was counted too: %s", raw)
			}
		}
		v := l.check(t, s)
		twice += v.Duplicates
		for _, z := range zombies {
			if z.Says("had been taken away") {
				stale++
			}
		}
		if v.Duplicates > together {
			t.Errorf("%d jobs ended twice, more than were in their hands", v.Duplicates)
		}
	}
	row("%d workers stopped for 20 s: lost 0, terminal conflicts 0, stale settlements accepted 0 "+
		"(%d refused), ended twice %d", together*times(1, 10), stale, twice)
}

func TestAWorkerThatIsStoppedForLessThanItsLeaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	row := scores(t, 6)
	together, rounds := times(3, 20), times(1, 10)
	for range rounds {
		s := harness.New(t)
		l := newLedger(s)
		peer := serves(s, s.Worker("-c", "2", "-q", "other"))
		stopped := paused(t, s, together, lease*8/10, func(int) {
			l.must(t, s, "default", 1, 4000)
		}, func() {})
		s.Settled(20 * time.Second)
		if v := l.check(t, s); v.Duplicates > 0 || v.Ended != 2*together {
			t.Errorf("%+v", v)
		}
		if peer.Says("a worker is dead") {
			t.Error("a living worker was taken for dead")
		}
		for _, p := range stopped {
			if p.Says("lease of this process is lost") {
				t.Error("a worker has lost its lease")
			}
		}
	}
	row("%d workers stopped for 8 s: false reclaims 0, ended twice 0", together*rounds)
}

func TestARollingDeployRunsNothingTwice(t *testing.T) {
	row := scores(t, 7)
	s := harness.New(t)
	l := newLedger(s)
	stop := l.load(t, s, 2*time.Millisecond, 20)
	fleet := []*harness.Process{s.Worker("-c", "5"), s.Worker("-c", "5"), s.Worker("-c", "5")}
	deploys, slowest := times(4, 100), time.Duration(0)
	for range deploys {
		for i, w := range fleet {
			s.Until(20*time.Second, "it runs jobs", func() bool { return w.Says("start") })
			told := time.Now()
			if code := w.Stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			slowest = max(slowest, time.Since(told))
			fleet[i] = s.Worker("-c", "5")
		}
	}
	stop()
	s.Settled(30 * time.Second)
	v := l.check(t, s)
	if v.Duplicates > 0 {
		t.Errorf("%d jobs ended twice", v.Duplicates)
	}
	for id, n := range l.starts {
		if n > 1 {
			t.Errorf("%s started %d times", id, n)
		}
	}
	if slowest > 2*time.Second {
		t.Errorf("a worker stopped after %v; its jobs take 20 ms", slowest)
	}
	row("%d deploys of 3 workers: lost 0 of %d, ended twice %d, slowest exit %.2f s with jobs of "+
		"20 ms", deploys, v.Acked, v.Duplicates, slowest.Seconds())
}

// exits sends TERM to workers with a long job each, a second signal to those of an
// odd number after a random time, and gives the longest that one took to end.
func exits(t *testing.T, workers []*harness.Process) (slowest time.Duration) {
	t.Helper()
	signals := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}
	told := time.Now()
	for _, w := range workers {
		w.Signal(syscall.SIGTERM)
	}
	var all sync.WaitGroup
	for i, w := range workers {
		if i%2 == 1 {
			pause := rand.N(1500 * time.Millisecond)
			all.Go(func() { <-time.After(pause); w.Signal(signals[i/2%2]) })
		}
	}
	for _, w := range workers {
		if code := w.Exit(30 * time.Second); code != 0 {
			t.Errorf("exit code %d:\n%s", code, w.Log())
		}
		slowest = max(slowest, time.Since(told))
	}
	all.Wait()
	return slowest
}

func TestAWorkerThatMustStopPutsLongJobsBackInTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		redis func(s *harness.Site) (restore func()) // what happens to it before the signal
	}{
		{"with Redis", func(*harness.Site) func() { return func() {} }},
		{"with Redis down", func(s *harness.Site) func() {
			s.Server.Kill()
			return s.Server.Restart
		}},
		{"with Redis hanging", func(s *harness.Site) func() {
			pid := s.Server.PID()
			syscall.Kill(pid, syscall.SIGSTOP)
			return func() { syscall.Kill(pid, syscall.SIGCONT) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 8)
			together, rounds := times(4, 15), times(1, 10)
			if c.name != "with Redis" {
				rounds = times(1, 3)
			}
			slowest := time.Duration(0)
			for range rounds {
				s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec")
				l := newLedger(s)
				l.must(t, s, "default", together, 4_000)
				var workers []*harness.Process
				for range together {
					workers = append(workers, s.Worker("-c", "1", "-t", "2", "-q", "default"))
				}
				s.Until(30*time.Second, "each has a job",
					func() bool { l.read(t); return len(l.starts) == together })
				before := map[string]bool{}
				for _, key := range s.Raw.Keys(t.Context(), "kyu:*inflight*").Val() {
					for _, raw := range s.Raw.HVals(t.Context(), key).Val() {
						before[raw] = true
					}
				}
				restore := c.redis(s)
				slowest = max(slowest, exits(t, workers))
				restore()
				if c.name == "with Redis" {
					for _, raw := range s.Raw.LRange(t.Context(), "queue:default", 0, -1).Val() {
						if len(before) > 0 && !before[raw] && len(before) == together {
							t.Errorf("put back with other bytes: %s", raw)
						}
					}
				}
				s.Worker("-c", fmt.Sprint(together), "-q", "default", "--log-level", "warn")
				s.Settled(40 * time.Second)
				l.check(t, s)
				if n := s.Card("retry") + s.Card("dead"); n > 0 {
					t.Errorf("%d jobs are in the sets: a stop has cost them a retry", n)
				}
			}
			if slowest > 7*time.Second {
				t.Errorf("the slowest took %v with -t 2", slowest)
			}
			row("%s: %d workers with jobs longer than -t 2, every other one told twice: lost 0, "+
				"retry counts changed 0, slowest exit %.1f s", c.name, together*rounds,
				slowest.Seconds())
		})
	}
}
