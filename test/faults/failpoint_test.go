package faults

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// provoke pushes the jobs, and does what else is needed, so that a worker reaches a failpoint.
func provoke(t *testing.T, s *harness.Site, l *ledger, point string, trial int) {
	t.Helper()
	l.mustPush(t, s, "default", 10, 2)
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
	case "reclaim_mid": // a worker that left before it had settled its jobs
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

func TestFailpoint(t *testing.T) {
	t.Parallel()
	row := scores(t, 2)
	trials := bySize(2, 100)
	total, duplicates := 0, 0
	t.Run("a worker that is killed at it loses no job", func(t *testing.T) {
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

// killAt starts workers one after the other. Each kills itself at a point, and takes the jobs over
// from the one before it.
func killAt(t *testing.T, point string, trials int) verdict {
	const threads = 5
	s := harness.New(t)
	l := newLedger(s)
	config := pollConfig(s, 0.2)
	args := []string{"-c", fmt.Sprint(threads), "-q", "default", "-C", config, "-t", "1"}
	for trial := range trials {
		provoke(t, s, l, point, trial)
		w := s.StartWith([]string{"TEST_NO_POISON=1", "KYU_FAILPOINTS=" + point + "=kill"},
			filepath.Join(harness.Bin, "testworker-failpoints"),
			append([]string{"--test-jobs", "--log-format", "plain"}, args...)...)
		if point == "requeue_on_stop" {
			s.Until(20*time.Second, "the long job runs", func() bool { return w.Says("jid=long") })
			w.Signal(syscall.SIGTERM)
		}
		s.Until(30*time.Second,
			fmt.Sprintf("trial %d: the worker has killed itself at %s", trial, point), func() bool {
				if strings.HasPrefix(point, "ack_") && s.Waiting()+s.InFlight() == 0 {
					// no fetch acknowledges a job that came through a doorbell, so it takes more
					l.mustPush(t, s, "default", 1, 0)
				}
				select {
				case <-w.Done:
					return true
				default:
					return false
				}
			})
		if strings.Contains(w.Log(), "Bye!") {
			t.Fatalf("trial %d: the worker did not kill itself at %s:\n%s", trial, point, w.Log())
		}
	}
	s.WorkerWith([]string{"TEST_NO_POISON=1"}, args...)
	drained(s, 90*time.Second)
	v := l.check(t, s)
	if v.Duplicates > trials*threads {
		t.Errorf("%d jobs ended twice, want %d at most: the threads of %d workers", v.Duplicates,
			trials*threads, trials)
	}
	if n := s.Card("dead"); n > 0 {
		t.Errorf("%d jobs are dead: crashes were counted as failures", n)
	}
	return v
}
