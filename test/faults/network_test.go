package faults

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// lossCase names a script whose replies are lost, and the push that makes a worker call it.
type lossCase struct {
	name    string
	script  string
	every   int // each so many calls lose a reply
	workers int
	atPush  bool // the proxy is between the producer and Redis, not the workers and Redis
	push    func(t *testing.T, l *ledger, c *queue.Client) error
}

func pushes(class string, arg int, o queue.Options) func(*testing.T, *ledger, *queue.Client) error {
	return func(t *testing.T, l *ledger, c *queue.Client) error {
		return l.push(t.Context(), c, class, []any{arg}, o)
	}
}

var lossCases = []lossCase{
	{name: "push", script: "push", every: 2, workers: 1, atPush: true,
		push: pushes("Test::Ledger", 0, queue.Options{Retry: queue.RetryMax(0)})},
	{name: "fetch", script: "fetch", every: 3, workers: 4,
		push: func(t *testing.T, l *ledger, c *queue.Client) error {
			for range 19 { // more jobs than doorbells bring
				if err := pushes("Test::Ledger", 1, queue.Options{Retry: queue.RetryMax(0)})(t, l,
					c); err != nil {
					return err
				}
			}
			return pushes("Test::Ledger", 1, queue.Options{Retry: queue.RetryMax(0)})(t, l, c)
		}},
	{name: "ack", script: "settle", every: 2, workers: 4,
		push: pushes("Test::Ledger", 0, queue.Options{Retry: queue.RetryMax(0)})},
	{name: "retry", script: "settle", every: 2, workers: 4,
		push: pushes("Test::Flaky", 1, queue.Options{Retry: queue.RetryMax(3)})},
	{name: "promote", script: "promote", every: 1, workers: 4,
		push: func(t *testing.T, l *ledger, c *queue.Client) error {
			return l.push(t.Context(), c, "Test::Ledger", []any{0},
				queue.Options{At: time.Now().Add(20 * time.Millisecond), Retry: queue.RetryMax(0)})
		}},
	{name: "heartbeat", script: "beat", every: 1, workers: 20,
		push: pushes("Test::Ledger", 0, queue.Options{Retry: queue.RetryMax(0)})},
}

func TestLostReply(t *testing.T) {
	t.Parallel()
	t.Run("loses no job and pushes none twice", func(t *testing.T) {
		for _, c := range lossCases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				loseReplies(t, c, bySize(5, 500))
			})
		}
	})
}

// loseReplies pushes jobs until n replies are lost, and then checks all jobs.
func loseReplies(t *testing.T, c lossCase, n int) {
	t.Helper()
	row := scores(t, 13)
	s := harness.New(t)
	l := newLedger(s)
	proxy := faultproxy.Start(t, s.Server.Addr)
	config := pollConfig(s, 0.2)
	address, client := "REDIS_URL=redis://"+proxy.Addr, s.Client
	if c.atPush {
		address, client = "REDIS_URL="+s.Server.URL, clientThrough(t, proxy)
	}
	for range c.workers {
		untilServing(s, s.WorkerWith([]string{address}, "-c", "3", "-q", "default", "-C", config))
	}
	proxy.DropEvery(faultproxy.Script(c.script), c.every)
	limit := time.Now().Add(10 * time.Minute)
	for proxy.Dropped() < n {
		if err := c.push(t, l, client); err != nil || time.Now().After(limit) {
			t.Fatalf("%d of %d replies were lost: %v", proxy.Dropped(), n, err)
		}
		<-time.After(2 * time.Millisecond)
	}
	dropped := proxy.Dropped()
	proxy.DropReply("", 0)
	began := time.Now()
	drained(s, 60*time.Second)
	v := l.check(t, s)
	if v.Duplicates > 0 {
		t.Errorf("%d jobs ended twice", v.Duplicates)
	}
	if d := s.Card("dead"); d > 0 {
		t.Errorf("%d jobs are dead", d)
	}
	row("%s: %d replies lost: lost 0 of %d, pushed twice 0, ended twice %d, stranded 0 after "+
		"%.1f s", c.name, dropped, v.Acked, v.Duplicates, time.Since(began).Seconds())
}

func TestSilentConnection(t *testing.T) {
	t.Parallel()
	t.Run("delays jobs by 10 s at most", silenceConnections)
}

func silenceConnections(t *testing.T) {
	t.Parallel()
	row := scores(t, 14)
	together, rounds := bySize(3, 20), bySize(1, 10)
	s := harness.New(t)
	l := newLedger(s)
	var fleet []*member
	for i := range together {
		m := newMember(s, "-c", "2", "-q", fmt.Sprint("q", i), "--log-level", "info")
		untilServing(s, m.process)
		fleet = append(fleet, m)
	}
	slowest := time.Duration(0)
	for round := range rounds {
		s.Until(20*time.Second, "all workers sleep", func() bool {
			return strings.Count(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove") == together
		})
		for _, m := range fleet {
			m.proxy.Silence()
		}
		began := time.Now()
		for i := range fleet {
			l.mustPush(t, s, fmt.Sprint("q", i), 2, 0) // the doorbell of the first is not heard
		}
		s.Until(30*time.Second, "all jobs have run",
			func() bool { return l.ended(t) == 2*together*(round+1) })
		slowest = max(slowest, time.Since(began))
		s.Settled(10 * time.Second)
	}
	for _, m := range fleet {
		stillRuns(t, m.process)
	}
	v := l.check(t, s)
	if slowest > 10*time.Second {
		t.Errorf("jobs ran after %v, want 10 s at most: the 5 s of a doorbell, and 5 s", slowest)
	}
	row("%d times half open, with a doorbell up: jobs ran within %.1f s (a doorbell hangs for "+
		"5), lost 0, ended twice %d, restarts 0", together*rounds, slowest.Seconds(), v.Duplicates)
}

func TestFlushedScripts(t *testing.T) {
	t.Parallel()
	t.Run("are sent again", flushScripts)
}

// flushScripts removes all scripts again and again, as a failover and SCRIPT FLUSH do.
func flushScripts(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	l := newLedger(s)
	w := untilServing(s, s.Worker("-c", "5", "-q", "default", "-C", pollConfig(s, 0.2)))
	stop := make(chan struct{})
	var flusher sync.WaitGroup
	flushes := 0
	flusher.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.Raw.ScriptFlush(t.Context())
				s.Raw.FunctionFlush(t.Context())
				flushes++
			case <-stop:
				return
			}
		}
	})
	for range bySize(200, 5000) {
		l.mustPush(t, s, "default", 1, 0)
		<-time.After(2 * time.Millisecond)
	}
	close(stop)
	flusher.Wait()
	s.Settled(20 * time.Second)
	if v := l.check(t, s); v.Duplicates > 0 {
		t.Errorf("%+v", v)
	}
	if w.Says("does not serve us") {
		t.Error("the worker logged an error of Redis")
	}
	t.Logf("%d flushes, errors in the log 0", flushes)
}
