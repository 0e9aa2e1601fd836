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

// statementErrors are the SQLSTATEs of a connection that another client has prepared statements on:
// a statement is missing, exists already, or is another.
var statementErrors = []string{"26000", "42P05", "08P01"}

// pushQueries pushes n jobs that make so many queries each.
func pushQueries(t *testing.T, s *harness.Site, l *ledger, n, queries int) {
	t.Helper()
	for i := range n {
		o := queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(25)}
		if err := l.push(t.Context(), s.Client, "Test::DBLedger", []any{queries}, o); err != nil {
			t.Fatal(err)
		}
	}
}

// retriedUntilDone waits until all jobs have run, and runs retries at once. It fails if no job ends
// within idle. It sets no limit for all jobs, because their time depends on the machine.
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

// noStatementErrors fails the test if a worker logged one of statementErrors.
func noStatementErrors(t *testing.T, w *harness.Process) {
	t.Helper()
	for _, state := range statementErrors {
		if strings.Contains(w.Log(), state) {
			t.Errorf("the log has SQLSTATE %s", state)
		}
	}
}

func TestPooler(t *testing.T) {
	t.Parallel()
	t.Run("killed, paused or too small hangs no job", breakPooler)
}

func breakPooler(t *testing.T) {
	t.Parallel()
	row := scores(t, 26)
	s := harness.New(t)
	l := newLedger(s)
	cluster := pgtest.StartCluster(t)
	pooler := cluster.StartPooler("default_pool_size = 5", "query_wait_timeout = 5")
	w := s.WorkerWith([]string{"DATABASE_URL=" + pooler.URL}, "-c", "25", "--log-level", "warn",
		"-C", pollConfig(s, 0.5))
	faults, perFault, queries := bySize(3, 99), bySize(100, 400), 25
	slowest := time.Duration(0)
	for i := range faults {
		before := l.ended(t) // before the push: the jobs may all end while they are pushed
		pushQueries(t, s, l, perFault, queries)
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
	noStatementErrors(t, w)
	row("PgBouncer 1.18, 25 threads over 5 connections, killed, paused or told to reconnect %d "+
		"times: lost 0 of %d jobs of %d queries (%d queries), hung 0, SQLSTATE 26000/42P05/08P01 "+
		"0; queries ran again after %.1f s at most",
		faults, v.Acked, queries, v.Acked*queries, slowest.Seconds())
}

func TestPostgres(t *testing.T) {
	t.Run("restarted at once loses no job, and the pool is healthy within 2 s", restartPostgres)
}

func restartPostgres(t *testing.T) {
	row := scores(t, 27)
	s := harness.New(t)
	l := newLedger(s)
	cluster := pgtest.StartCluster(t)
	w := s.WorkerWith([]string{"DATABASE_URL=" + cluster.URL}, "-c", "10", "--log-level", "warn",
		"-C", pollConfig(s, 0.5))
	restarts := bySize(2, 50)
	var took []time.Duration
	for range restarts {
		before := l.ended(t)
		pushQueries(t, s, l, 200, 10)
		s.Until(60*time.Second, "queries run", func() bool { return l.ended(t) > before+20 })
		cluster.Stop() // by SIGQUIT, which is as fast as a crash
		cluster.Restart()
		accepts := time.Now()
		before = l.ended(t)
		pushQueries(t, s, l, 20, 1)
		s.Until(60*time.Second, "queries run again", func() bool { return l.ended(t) > before })
		took = append(took, time.Since(accepts))
	}
	retriedUntilDone(t, s, l, time.Minute)
	v := l.check(t, s)
	noStatementErrors(t, w)
	worst := percentile(took, 1)
	if worst > 2*time.Second {
		t.Errorf("the pool was healthy %v after Postgres accepted, want 2 s at most", worst)
	}
	row("%d immediate restarts of PostgreSQL 15: lost 0 of %d; the pool was healthy %.2f s after "+
		"it accepted at most; SQLSTATE 26000/42P05/08P01 0", restarts, v.Acked, worst.Seconds())
}
