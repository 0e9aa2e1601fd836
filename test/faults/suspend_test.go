package faults

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// lease is the length of a worker's lease, if the test sets no other.
const lease = 10 * time.Second

// suspend starts n workers with two jobs each, stops all of them by SIGSTOP for d, and lets them go
// on. meanwhile is called when they have stopped.
func suspend(t *testing.T, s *harness.Site, n int, d time.Duration, push func(i int),
	meanwhile func()) []*harness.Process {
	t.Helper()
	var all []*harness.Process
	for range n {
		all = append(all, untilServing(s, s.Worker("-c", "2", "-q", "default")))
	}
	for i := range 2 * n { // after all have started, so that no job ends before the last one starts
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

func TestSuspendedWorker(t *testing.T) {
	t.Parallel()
	t.Run("settles no job that was taken over, after two leases", suspendForTwoLeases)
	t.Run("keeps its jobs for less than its lease", suspendForLess)
}

func suspendForTwoLeases(t *testing.T) {
	t.Parallel()
	row := scores(t, 5)
	together, rounds := bySize(3, 20), bySize(1, 10)
	stale, twice := 0, 0
	for round := range rounds {
		s := harness.New(t)
		l := newLedger(s)
		// It finds the dead leases, and serves another queue.
		untilServing(s, s.Worker("-c", fmt.Sprint(2*together), "-q", "other"))
		push := func(i int) {
			if i%2 == 0 {
				l.mustPush(t, s, "default", 1, 4000)
				return
			}
			s.Push("Test::FailAfter", []any{4000, "fails"}, queue.Options{JID: fmt.Sprint("f", i)})
		}
		suspended := suspend(t, s, together, 2*lease, push, func() {
			if round%2 == 0 { // in other rounds the suspended workers run the jobs again
				s.Worker("-c", fmt.Sprint(2*together), "-q", "default")
			}
		})
		untilAllSay(s, suspended, "goes on under a new identity")
		// Each of the failing jobs has one entry: a second would be a failure that counted twice.
		s.Until(40*time.Second, "all jobs have run", func() bool {
			return s.Waiting()+s.InFlight() == 0 && s.Card("retry") == int64(together)
		})
		checkRetriesZero(s)
		v := l.check(t, s)
		twice += v.Duplicates
		for _, p := range suspended {
			if p.Says("had been taken away") {
				stale++
			}
		}
		if v.Duplicates > together {
			t.Errorf("%d jobs ended twice, and the workers had only %d", v.Duplicates, together)
		}
	}
	row("%d workers suspended for 20 s: lost 0, terminal conflicts 0, stale settlements accepted "+
		"0 (%d refused), ended twice %d", together*rounds, stale, twice)
}

// untilAllSay waits until the logs of all processes contain a text.
func untilAllSay(s *harness.Site, list []*harness.Process, text string) {
	s.Helper()
	s.Until(20*time.Second, "all logs contain: "+text, func() bool {
		return !slices.ContainsFunc(list, func(p *harness.Process) bool { return !p.Says(text) })
	})
}

// checkRetriesZero fails the test if a job of the retry set has failed more than once.
func checkRetriesZero(s *harness.Site) {
	s.Helper()
	for _, raw := range s.Raw.ZRange(s.Context(), "retry", 0, -1).Val() {
		if j, err := envelope.ParseJob(raw); err != nil || j.Field("retry_count") != "0" {
			s.Errorf("the failure in the suspended worker was counted too: %s", raw)
		}
	}
}

func suspendForLess(t *testing.T) {
	t.Parallel()
	row := scores(t, 6)
	together, rounds := bySize(3, 20), bySize(1, 10)
	for range rounds {
		s := harness.New(t)
		l := newLedger(s)
		peer := untilServing(s, s.Worker("-c", "2", "-q", "other"))
		suspended := suspend(t, s, together, lease*8/10, func(int) {
			l.mustPush(t, s, "default", 1, 4000)
		}, func() {})
		s.Settled(20 * time.Second)
		if v := l.check(t, s); v.Duplicates > 0 || v.Ended != 2*together {
			t.Errorf("%+v", v)
		}
		if peer.Says("a worker is dead") {
			t.Error("a living worker was taken for dead")
		}
		for _, p := range suspended {
			if p.Says("lease of this process is lost") {
				t.Error("a worker lost its lease")
			}
		}
	}
	row("%d workers suspended for 8 s: false reclaims 0, ended twice 0", together*rounds)
}
