package faults

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestQueueHistory(t *testing.T) {
	t.Run("has every job once, but for what killed workers had not written", killHistorians)
}

// killHistorians kills workers while another one serves the same queue all the time.
func killHistorians(t *testing.T) {
	row := scores(t, 46)
	s := harness.New(t)
	l := newLedger(s)
	stays := untilServing(s, s.WorkerWith([]string{"TEST_MEMBER=stays"}, "-c", "5"))
	kills := bySize(5, 100)
	for range kills {
		killed := untilServing(s, s.WorkerWith([]string{"TEST_MEMBER=killed"}, "-c", "5"))
		l.mustPush(t, s, "default", 200, 2)
		s.Until(30*time.Second, "it has run jobs", func() bool { return killed.Says(" done") })
		killed.Kill()
	}
	s.Settled(60 * time.Second)
	if code := stays.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	v := l.check(t, s)
	starts, kept := 0, 0
	for id, n := range l.starts {
		starts += n
		for _, e := range l.events.of[id] {
			if e.what == 'e' && l.events.names[e.by] == "stays" {
				kept++
			}
		}
	}
	n := left(s, "default")
	if n < int64(kept) || n > int64(starts) || kept == v.Ended {
		t.Errorf("%d jobs out, want from %d, which the worker that stayed has run, to %d, which "+
			"were started; %d ended", n, kept, starts, v.Ended)
	}
	row("%d workers killed: lost %d of %d; history has %d jobs out, of %d that ended, %d of them "+
		"in the worker that was stopped in order", kills, v.Lost, v.Acked, n, v.Ended, kept)
}

// left is how many jobs have left queues, by their history.
func left(s *harness.Site, queues ...string) (n int64) {
	s.Helper()
	for _, name := range queues {
		points, _, err := inspect.New(s.Store).QueueHistory(s.Context(), name, inspect.MaxHistory)
		s.Must(err)
		for _, p := range points {
			n += p.Out
		}
	}
	return n
}
