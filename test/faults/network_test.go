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

// lossy is a way in which replies get lost: of which command, and what makes a worker
// send it.
type lossy struct {
	name    string
	script  string
	every   int
	workers int
	atPush  bool // the producer is behind the proxy, not the worker
	push    func(t *testing.T, l *ledger, c *queue.Client) error
}

func pushes(class string, arg int, o queue.Options) func(*testing.T, *ledger, *queue.Client) error {
	return func(t *testing.T, l *ledger, c *queue.Client) error {
		return l.push(t.Context(), c, class, []any{arg}, o)
	}
}

var lossyWays = []lossy{
	{name: "push", script: "push", every: 2, workers: 1, atPush: true,
		push: pushes("Test::Ledger", 0, queue.Options{Retry: queue.RetryMax(0)})},
	{name: "fetch", script: "fetch", every: 3, workers: 4,
		push: func(t *testing.T, l *ledger, c *queue.Client) error {
			for range 19 { // more than the doorbells bring
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

func TestALostReplyLosesNoJobAndPushesNoneTwice(t *testing.T) {
	t.Parallel()
	n := times(5, 500)
	for _, way := range lossyWays {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			row := scores(t, 13)
			s := harness.New(t)
			l := newLedger(s)
			proxy := faultproxy.Start(t, s.Server.Addr)
			config := polls(s, 0.2)
			address := "REDIS_URL=redis://" + proxy.Addr
			client := s.Client
			if way.atPush {
				address, client = "REDIS_URL="+s.Server.URL, through(t, proxy)
			}
			for range way.workers {
				serves(s, s.WorkerWith([]string{address}, "-c", "3", "-q", "default",
					"-C", config))
			}
			proxy.DropEvery(faultproxy.Script(way.script), way.every)
			limit := time.Now().Add(10 * time.Minute)
			for proxy.Dropped() < n {
				if err := way.push(t, l, client); err != nil || time.Now().After(limit) {
					t.Fatalf("%v; %d replies lost", err, proxy.Dropped())
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
			row("%s: %d replies lost: lost 0 of %d, pushed twice 0, ended twice %d, stranded 0 "+
				"after %.1f s", way.name, dropped, v.Acked, v.Duplicates,
				time.Since(began).Seconds())
		})
	}
}

func TestAConnectionThatFallsSilentHoldsNothingUp(t *testing.T) {
	t.Parallel()
	row := scores(t, 14)
	together, rounds := times(3, 20), times(1, 10)
	s := harness.New(t)
	l := newLedger(s)
	var fleet []*member
	for i := range together {
		m := newMember(s, "-c", "2", "-q", fmt.Sprint("q", i), "--log-level", "info")
		serves(s, m.process)
		fleet = append(fleet, m)
	}
	slowest := time.Duration(0)
	for round := range rounds {
		s.Until(20*time.Second, "all sleep", func() bool {
			return strings.Count(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove") == together
		})
		for _, m := range fleet {
			m.proxy.Silence()
		}
		began := time.Now()
		for i := range fleet {
			l.must(t, s, fmt.Sprint("q", i), 2, 0) // the first rings a bell that nobody hears
		}
		s.Until(30*time.Second, "all has run",
			func() bool { return l.ended(t) == 2*together*(round+1) })
		slowest = max(slowest, time.Since(began))
		s.Settled(10 * time.Second)
	}
	for _, m := range fleet {
		lives(t, m.process)
	}
	v := l.check(t, s)
	if slowest > 10*time.Second {
		t.Errorf("jobs ran after %v: a doorbell hangs for 5 s, and 5 s more are allowed", slowest)
	}
	row("%d times half open, with a doorbell up: jobs ran within %.1f s (a doorbell hangs for "+
		"5), lost 0, ended twice %d, restarts 0", together*rounds, slowest.Seconds(), v.Duplicates)
}

// Script flushes come with failovers and impatient admins.
func TestFlushedScriptsAreSentAgain(t *testing.T) {
	t.Parallel()
	s := harness.New(t)
	l := newLedger(s)
	w := serves(s, s.Worker("-c", "5", "-q", "default", "-C", polls(s, 0.2)))
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
	for range times(200, 5000) {
		l.must(t, s, "default", 1, 0)
		<-time.After(2 * time.Millisecond)
	}
	close(stop)
	flusher.Wait()
	s.Settled(20 * time.Second)
	if v := l.check(t, s); v.Duplicates > 0 {
		t.Errorf("%+v", v)
	}
	if w.Says("does not serve us") {
		t.Error("an error came to the surface")
	}
	t.Logf("R8: %d flushes, errors surfaced 0", flushes)
}
