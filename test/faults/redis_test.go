package faults

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

var durable = []string{"--appendonly", "yes", "--appendfsync", "everysec",
	"--maxmemory-policy", "noeviction", "--auto-aof-rewrite-percentage", "0"}

// written are durable without fsync: each write is in the memory of the system before its reply is
// sent, so SIGKILL loses nothing. With everysec Redis may delay a write for 2 s while the disk is
// busy.
var written = append(slices.Clone(durable), "--appendfsync", "no")

// pushSteadily pushes jobs until stop is called. stop waits for the last push.
func (l *ledger) pushSteadily(t *testing.T, s *harness.Site, every time.Duration,
	ms int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var producer sync.WaitGroup
	producer.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			// The context is the test's, so that stop does not interrupt a push.
			if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{ms},
				queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(0)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); producer.Wait() }
}

func TestRedisKill(t *testing.T) {
	t.Run("loses no job, and work goes on within 2 s", killRedis)
}

func killRedis(t *testing.T) {
	row := scores(t, 12)
	s := harness.New(t, durable...)
	l := newLedger(s)
	// A worker that starts while Redis is away ends, so both must have started.
	workers := []*harness.Process{untilServing(s, s.Worker("-c", "10", "--log-level", "info")),
		untilServing(s, s.Worker("-c", "10", "--log-level", "info"))}
	stop := l.pushSteadily(t, s, time.Millisecond, 1)
	kills := bySize(5, 100)
	var took []time.Duration
	for range kills {
		before := l.ended(t)
		s.Until(20*time.Second, "jobs run", func() bool { return l.ended(t) > before+100 })
		s.Server.Kill()
		<-time.After(rand.N(300 * time.Millisecond))
		l.read(t)
		before = l.ended(t)
		s.Server.Restart()
		answers := time.Now()
		s.Until(20*time.Second, "jobs run again", func() bool { return l.ended(t) > before })
		took = append(took, time.Since(answers))
	}
	stop()
	s.Settled(60 * time.Second)
	v := l.check(t, s)
	for _, w := range workers {
		stillRuns(t, w)
	}
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs failed, because Redis was away", n)
	}
	worst := percentile(took, 1)
	if worst > 2*time.Second {
		t.Errorf("work went on %v after Redis answered, want 2 s at most", worst)
	}
	row("%d kills of Redis: lost 0 of %d, ended twice %d, jobs failed 0; work went on after p50 "+
		"%.2f s, at most %.2f s", kills, v.Acked, v.Duplicates,
		percentile(took, 0.5).Seconds(), worst.Seconds())
}

// drain returns how many jobs a second a worker runs that do nothing. With full, Redis is over its
// maxmemory meanwhile.
func drain(t *testing.T, s *harness.Site, n int, full bool) float64 {
	t.Helper()
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i}
	}
	if _, err := s.Client.PushBulk(t.Context(), "Test::NoOp", args, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	if full {
		s.Raw.ConfigSet(t.Context(), "maxmemory", "1")
		defer s.Raw.ConfigSet(t.Context(), "maxmemory", "0")
		if _, err := s.Client.Push(t.Context(), "Test::NoOp", nil, queue.Options{}); err == nil ||
			!strings.Contains(err.Error(), "OOM") {
			t.Errorf("a push to a full Redis: %v", err)
		}
	}
	w := s.Worker("-c", "15", "-q", "default", "--log-level", "warn")
	defer w.Kill()
	s.Until(60*time.Second, "the worker has begun",
		func() bool { return s.Len("default") < int64(n) })
	began, left := time.Now(), s.Len("default")
	s.Until(5*time.Minute, "the queue is drained",
		func() bool { return s.Len("default")+s.InFlight() == 0 })
	return float64(left) / time.Since(began).Seconds()
}

func TestRedisMemory(t *testing.T) {
	t.Run("over its limit lets workers drain the queue", drainFull)
}

func drainFull(t *testing.T) {
	row := scores(t, 16)
	s := harness.New(t, "--maxmemory-policy", "noeviction")
	n := bySize(5_000, 200_000)
	var normal, full []float64
	for range bySize(1, 5) {
		normal, full = append(normal, drain(t, s, n, false)), append(full, drain(t, s, n, true))
	}
	slices.Sort(normal)
	slices.Sort(full)
	a, b := normal[len(normal)/2], full[len(full)/2]
	row("%d jobs drained %d times in turn: %.0f jobs/s, %.0f over maxmemory: %.0f %%; pushes "+
		"refused with OOM", n, len(full), a, b, 100*b/a)
}
