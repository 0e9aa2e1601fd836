package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// bait makes a worker come past a failpoint: the jobs, and what else it takes.
func bait(t *testing.T, s *harness.Site, l *ledger, point string, trial int) {
	t.Helper()
	l.must(t, s, "default", 10, 2)
	push := func(class string, args []any, o queue.Options) {
		o.Queue = "default"
		if err := l.push(t.Context(), s.Client, class, args, o); err != nil {
			t.Fatal(err)
		}
	}
	switch point {
	case "retry_before", "retry_sent":
		push("Test::Flaky", []any{1}, queue.Options{Retry: queue.RetryMax(5)})
	case "promote_before", "promote_sent":
		for range 5 {
			push("Test::Ledger", []any{1}, queue.Options{At: time.Now().Add(50 * time.Millisecond),
				Retry: queue.RetryMax(0)})
		}
	case "reclaim_mid": // somebody who has left without settling
		o := s.Store.Owner(fmt.Sprintf("gone:1:%d", trial))
		host := queue.Host{Name: "gone", PID: 1}
		if err := o.Register(t.Context(), host, []string{"default"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"default"}, Want: 10,
			First: s.Store.Tokens(10)}); err != nil {
			t.Fatal(err)
		}
		if err := o.Leave(t.Context(), host, []string{"default"}); err != nil {
			t.Fatal(err)
		}
	case "requeue_on_stop":
		if trial > 0 {
			return // the job of the first trial comes back every time
		}
		push("Test::Ledger", []any{3_000}, queue.Options{JID: "long", Retry: queue.RetryMax(0)})
	}
}

func TestAKillAtEveryNamedPointLosesNothing(t *testing.T) {
	row := scores(t, 2)
	trials := times(2, 100)
	total, duplicates := 0, 0
	t.Run("points", func(t *testing.T) {
		for _, point := range failpoint.Names {
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				v := killAt(t, point, trials)
				writing.Lock()
				defer writing.Unlock()
				total += trials
				duplicates += v.Duplicates
			})
		}
	})
	row("%d kills at %d points: lost 0, stranded 0, ended twice %d", total,
		len(failpoint.Names), duplicates)
}

// killAt lets workers kill themselves at a point, one after the other. Each takes
// over what the one before it has left.
func killAt(t *testing.T, point string, trials int) verdict {
	const threads = 5
	s := harness.New(t)
	l := newLedger(s)
	config := polls(s, 0.2)
	args := []string{"-c", fmt.Sprint(threads), "-q", "default", "-C", config, "-t", "1"}
	for trial := range trials {
		bait(t, s, l, point, trial)
		w := s.StartWith([]string{"TEST_NO_POISON=1", "KYU_FAILPOINTS=" + point + "=kill"},
			filepath.Join(harness.Bin, "testworker-failpoints"),
			append([]string{"--test-jobs", "--log-format", "plain"}, args...)...)
		if point == "requeue_on_stop" {
			s.Until(20*time.Second, "the long job runs", func() bool { return w.Says("jid=long") })
			w.Signal(syscall.SIGTERM)
		}
		s.Until(30*time.Second, fmt.Sprintf("trial %d: the worker has come past %s", trial, point),
			func() bool {
				if strings.HasPrefix(point, "ack_") && s.Waiting()+s.InFlight() == 0 {
					// one that comes through a doorbell is not acknowledged by a fetch
					l.must(t, s, "default", 1, 0)
				}
				select {
				case <-w.Done:
					return true
				default:
					return false
				}
			})
		if strings.Contains(w.Log(), "Bye!") {
			t.Fatalf("trial %d: the worker ended well:\n%s", trial, w.Log())
		}
	}
	s.WorkerWith([]string{"TEST_NO_POISON=1"}, args...)
	drained(s, 90*time.Second)
	v := l.check(t, s)
	if v.Duplicates > trials*threads {
		t.Errorf("%d jobs ended twice, more than were in flight", v.Duplicates)
	}
	if n := s.Card("dead"); n > 0 {
		t.Errorf("%d jobs are dead: a crash has cost them their retries", n)
	}
	return v
}

func TestAPeerTakesOverAndTheCrashCostsNoRetry(t *testing.T) {
	const together = 10
	for _, c := range []struct {
		name    string
		limit   time.Duration
		rounds  int
		command []string // that hides the pid of the victim from its peers
	}{
		{"on the same host", 2 * time.Second, times(1, 20), nil},
		{"elsewhere", 15 * time.Second, times(1, 20),
			[]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 3)
			if c.command != nil {
				if err := exec.Command("unshare", "--pid", "--fork", "true").Run(); err != nil {
					t.Skip("needs unshare --pid, to run workers whose pids others cannot see: ",
						err)
				}
			}
			var took []time.Duration
			for range c.rounds {
				took = append(took, orphans(t, c.command, together)...)
			}
			p99 := percentile(took, 0.99)
			row("kill -9 to the second run, %s, %d times: p50 %.1f s, p99 %.1f s; retry counts "+
				"changed 0", c.name, len(took), percentile(took, 0.5).Seconds(), p99.Seconds())
			if p99 > c.limit {
				t.Errorf("taken over after %v, want %v at most", p99, c.limit)
			}
		})
	}
}

// orphans kills n workers at once, each with a job in its hands, and gives the times
// until a peer that was running already has started the jobs again.
func orphans(t *testing.T, command []string, n int) (took []time.Duration) {
	t.Helper()
	s := harness.New(t)
	var victims []*harness.Process
	for i := range n {
		args := append(append([]string{}, command...), filepath.Join(harness.Bin, "testworker"),
			"--test-jobs", "--log-format", "plain", "-c", "1", "-q", "default")
		victims = append(victims, serves(s, s.Start(args[0], args[1:]...)))
		s.Push("Test::Slow", []any{120_000}, queue.Options{JID: fmt.Sprint(i),
			Retry: queue.RetryMax(0)})
	}
	s.Until(20*time.Second, "each has one", func() bool { return len(s.Records("run")) == n })
	heir := serves(s, s.Worker("-c", fmt.Sprint(n), "-q", "default"))
	s.Until(20*time.Second, "the peer has looked at its queue", func() bool {
		return strings.Contains(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove")
	})
	killed := time.Now()
	for _, v := range victims {
		v.Signal(syscall.SIGKILL)
	}
	for i := range n {
		s.Until(30*time.Second, "the next one runs again",
			func() bool { return len(s.Records("run")) > n+i })
		took = append(took, time.Since(killed))
	}
	for _, r := range s.Records("run")[n:] {
		if strings.Contains(string(r.Job), "retry_count") {
			t.Errorf("the crash was counted as a retry: %s", r.Job)
		}
	}
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs are in the sets", n)
	}
	heir.Kill()
	return took
}
