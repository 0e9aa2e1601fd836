package faults

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestRollingDeploy(t *testing.T) {
	t.Run("runs no job twice", deployInTurn)
}

func deployInTurn(t *testing.T) {
	row := scores(t, 7)
	s := harness.New(t)
	l := newLedger(s)
	stop := l.pushSteadily(t, s, 2*time.Millisecond, 20)
	fleet := []*harness.Process{s.Worker("-c", "5"), s.Worker("-c", "5"), s.Worker("-c", "5")}
	deploys, slowest := bySize(4, 100), time.Duration(0)
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
			t.Errorf("job %s started %d times", id, n)
		}
	}
	if slowest > 2*time.Second {
		t.Errorf("a worker stopped after %v; its jobs take 20 ms", slowest)
	}
	for _, w := range fleet {
		w.Stop()
	}
	if n := left(s, "default", "push", "mailers", "pull"); n != int64(v.Ended) {
		t.Errorf("the history has %d jobs out, want the %d that ended: no worker was killed", n,
			v.Ended)
	}
	row("%d deploys of 3 workers: lost 0 of %d, ended twice %d, slowest exit %.2f s with jobs of "+
		"20 ms", deploys, v.Acked, v.Duplicates, slowest.Seconds())
}

// exits sends SIGTERM to workers that have a long job each, and a second signal to every other one
// after a random time. It returns the longest time that a worker took to end.
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

func TestStop(t *testing.T) {
	for _, c := range []struct {
		name  string
		redis func(s *harness.Site) (restore func()) // what happens to Redis before the signal
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
		t.Run("puts long jobs back in time "+c.name, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 8)
			up := c.name == "with Redis"
			together, rounds := bySize(4, 15), bySize(1, 3)
			if up {
				rounds = bySize(1, 10)
			}
			slowest := time.Duration(0)
			for range rounds {
				slowest = max(slowest, stopLongJobs(t, together, c.redis, up))
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

// stopLongJobs stops n workers that have a job each which is longer than their -t, and returns the
// longest time that a worker took to end. With up, it also compares the bytes that were put back.
func stopLongJobs(t *testing.T, n int, fault func(*harness.Site) (restore func()),
	up bool) (slowest time.Duration) {
	t.Helper()
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec")
	l := newLedger(s)
	l.mustPush(t, s, "default", n, 4_000)
	var workers []*harness.Process
	for range n {
		workers = append(workers, s.Worker("-c", "1", "-t", "2", "-q", "default"))
	}
	s.Until(30*time.Second, "each worker has a job",
		func() bool { l.read(t); return len(l.starts) == n })
	before := inFlight(s)
	restore := fault(s)
	slowest = exits(t, workers)
	restore()
	if up {
		for _, raw := range s.Raw.LRange(t.Context(), "queue:default", 0, -1).Val() {
			if !before[raw] {
				t.Errorf("put back with other bytes: %s", raw)
			}
		}
	}
	s.Worker("-c", fmt.Sprint(n), "-q", "default", "--log-level", "warn")
	s.Settled(40 * time.Second)
	l.check(t, s)
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs are in the retry set or dead: a stop cost them a retry", n)
	}
	return slowest
}

// inFlight returns the payloads that are in flight.
func inFlight(s *harness.Site) map[string]bool {
	s.Helper()
	payloads := map[string]bool{}
	for _, key := range s.Raw.Keys(s.Context(), "kyu:{queue:*}:inflight:*").Val() {
		for _, raw := range s.Raw.HVals(s.Context(), key).Val() {
			payloads[raw] = true
		}
	}
	return payloads
}
