package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// poisoned are the errors of a connection that another client has left something in:
// a prepared statement that is not there, is there already, or is another.
var poisoned = []string{"26000", "42P05", "08P01"}

// dbLoad pushes n jobs of so many queries each.
func dbLoad(t *testing.T, s *harness.Site, l *ledger, n, queries int) {
	t.Helper()
	for i := range n {
		o := queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(25)}
		if err := l.push(t.Context(), s.Client, "Test::DBLedger", []any{queries}, o); err != nil {
			t.Fatal(err)
		}
	}
}

// retriedUntilDone waits until all has run, whatever had to be retried. It fails when no job ends
// for as long as idle: how long the backlog takes is the business of the machine.
func retriedUntilDone(t *testing.T, s *harness.Site, l *ledger, idle time.Duration) {
	t.Helper()
	done := func() bool {
		if s.Card("retry") > 0 && s.Waiting()+s.InFlight() == 0 {
			set := inspect.New(s.Store).RetrySet()
			if _, err := set.All(t.Context(), set.Retry); err != nil {
				t.Fatal(err)
			}
		}
		n, err := s.Raw.Eval(t.Context(), countLeft, nil).Int()
		return err == nil && n == 0
	}
	for ended := false; !ended; {
		before := l.ended(t)
		s.Until(idle, "a job ends, or all have run", func() bool {
			ended = done()
			return ended || l.ended(t) > before
		})
	}
}

func noneIsPoisoned(t *testing.T, w *harness.Process) {
	t.Helper()
	for _, state := range poisoned {
		if strings.Contains(w.Log(), state) {
			t.Errorf("SQLSTATE %s in the log", state)
		}
	}
}

func TestAPoolerThatIsKilledPausedAndTooSmallHangsNoJob(t *testing.T) {
	row := scores(t, 26)
	s := harness.New(t)
	l := newLedger(s)
	cluster := pgtest.StartCluster(t)
	pooler := cluster.StartPooler("default_pool_size = 5", "query_wait_timeout = 5")
	w := s.WorkerWith([]string{"DATABASE_URL=" + pooler.URL}, "-c", "25", "--log-level", "warn",
		"-C", polls(s, 0.5))
	faults, perFault, queries := times(3, 99), 400, 25
	slowest := time.Duration(0)
	for i := range faults {
		dbLoad(t, s, l, perFault, queries)
		before := l.ended(t)
		s.Until(60*time.Second, "queries run", func() bool { return l.ended(t) > before+20 })
		switch i % 3 {
		case 0:
			pooler.Kill()
			pooler.Restart()
		case 1:
			pgtest.Exec(t, pooler.Admin, "PAUSE")
			<-time.After(500 * time.Millisecond)
			pgtest.Exec(t, pooler.Admin, "RESUME")
		case 2:
			pgtest.Exec(t, pooler.Admin, "RECONNECT")
		}
		before, begun := l.ended(t), time.Now()
		s.Until(60*time.Second, "queries run again", func() bool {
			return l.ended(t) > before || s.Waiting()+s.InFlight() == 0
		})
		slowest = max(slowest, time.Since(begun))
	}
	retriedUntilDone(t, s, l, time.Minute)
	v := l.check(t, s)
	noneIsPoisoned(t, w)
	row("PgBouncer 1.18, 25 threads over 5 connections, killed, paused or told to reconnect %d "+
		"times: lost 0 of %d jobs of %d queries (%d queries), hung 0, SQLSTATE 26000/42P05/08P01 "+
		"0; queries ran again after %.1f s at most",
		faults, v.Acked, queries, v.Acked*queries, slowest.Seconds())
}

func TestAPostgresThatIsRestartedLosesNothing(t *testing.T) {
	row := scores(t, 27)
	s := harness.New(t)
	l := newLedger(s)
	cluster := pgtest.StartCluster(t)
	w := s.WorkerWith([]string{"DATABASE_URL=" + cluster.URL}, "-c", "10", "--log-level", "warn",
		"-C", polls(s, 0.5))
	restarts := times(2, 50)
	var took []time.Duration
	for range restarts {
		dbLoad(t, s, l, 200, 10)
		before := l.ended(t)
		s.Until(60*time.Second, "queries run", func() bool { return l.ended(t) > before+20 })
		cluster.Stop() // SIGQUIT: at once, as in a crash
		cluster.Restart()
		accepts := time.Now()
		dbLoad(t, s, l, 20, 1)
		before = l.ended(t)
		s.Until(60*time.Second, "queries run again", func() bool { return l.ended(t) > before })
		took = append(took, time.Since(accepts))
	}
	retriedUntilDone(t, s, l, time.Minute)
	v := l.check(t, s)
	noneIsPoisoned(t, w)
	worst := percentile(took, 1)
	if worst > 2*time.Second {
		t.Errorf("the pool was healthy %v after Postgres accepted", worst)
	}
	row("%d immediate restarts of PostgreSQL 15: lost 0 of %d; the pool was healthy %.2f s after "+
		"it accepted at most; poisoned connections 0", restarts, v.Acked, worst.Seconds())
}
