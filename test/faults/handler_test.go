package faults

import (
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/testjobs"
)

// recoverable is how many of testjobs.Faults end only the job. The others end the process.
const recoverable = 4

func TestHandlerFault(t *testing.T) {
	t.Parallel()
	row := scores(t, 10)
	n := bySize(1, 20)
	var mu sync.Mutex
	exits, deaths := 0, 0 // of processes, by faults that end the job and by the others
	t.Run("costs no other job", func(t *testing.T) {
		for i, kind := range testjobs.Faults {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				d := handlerFault(t, kind, n)
				mu.Lock()
				defer mu.Unlock()
				if i >= recoverable {
					deaths += d
					return
				}
				exits += d
				if d > 0 {
					t.Errorf("the process died %d times", d)
				}
			})
		}
	})
	row("4 kinds that end the job x %d: process exits %d; 4 kinds that end the process x %d: %d "+
		"deaths, other jobs lost 0, dead 0", n, exits, n, deaths)
}

// handlerFault runs n jobs with a fault of a kind among other jobs, and returns how often their
// process died.
func handlerFault(t *testing.T, kind string, n int) (deaths int) {
	t.Helper()
	s := harness.New(t)
	l := newLedger(s)
	v := supervise(s, func() *harness.Process {
		return s.Worker("-c", "5", "-q", "default", "--log-level", "warn")
	})
	for i := range n {
		l.mustPush(t, s, "default", 5, 5)
		s.Push("Test::Fault", []any{kind}, queue.Options{Retry: queue.RetryMax(0)})
		l.mustPush(t, s, "default", 5, 5)
		if kind == "stack" { // takes a gigabyte, and many seconds, so there is one at a time
			v.untilDead(5*time.Minute, i+1)
		}
	}
	v.untilDead(3*time.Minute, n)
	onlyDead(s, "Test::Fault", n)
	l.check(t, s)
	return v.deaths
}

func TestStuckThread(t *testing.T) {
	t.Run("is replaced within 5 s of the job's timeout", replaceThreads)
}

func replaceThreads(t *testing.T) {
	row := scores(t, 11)
	n := bySize(2, 50)
	s := harness.New(t)
	l := newLedger(s)
	s.Worker("-c", "2", "-q", "default", "--max-stuck", "200", "--log-level", "warn", "-t", "1")
	var took []time.Duration
	for i := range n {
		class := "Test::Hang"
		if i%10 == (n-1)%10 { // last, because they use the processor until the worker ends
			class = "Test::Spin"
		}
		began := time.Now()
		s.Push(class, nil, queue.Options{})
		s.Push(class, nil, queue.Options{})
		l.mustPush(t, s, "default", 1, 0)
		s.Until(20*time.Second, "a thread is free again", func() bool { return l.ended(t) == i+1 })
		took = append(took, time.Since(began)-time.Second) // the timeout of both jobs is 1 s
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("a thread was replaced %v after the timeout, want 5 s at most", worst)
	}
	row("all threads stuck %d times (select{} and for{}): one is back %.1f s after the timeout "+
		"at most, p50 %.1f s", n, worst.Seconds(), percentile(took, 0.5).Seconds())
}
