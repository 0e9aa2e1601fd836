// Package workertest helps to test programs that push and handle jobs:
//
//   - Fake keeps pushed jobs in memory. A test reads them with Jobs, runs each once with
//     Drain, or runs them with retries and schedules with Work;
//   - Inline runs each job when it is pushed;
//   - Redis starts a Redis in the test's process, for a whole worker.
//
// All three encode a job as JSON, so a handler gets its arguments as in a worker.
package workertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/worker"
)

// Fake is a queue.Backend that keeps jobs in memory; pass it to queue.NewClient. Its zero
// value is ready to use. The methods may be called from many goroutines.
type Fake struct {
	mu   sync.Mutex
	jobs []Pushed // in the order of the pushes; under mu
}

// Pushed is a job that was pushed.
type Pushed struct {
	*queue.Job
	Scheduled bool // it was pushed for a later time

	at time.Time // when it is due; zero: at once
}

// PushBatches is the method of queue.Backend. It keeps the jobs of all batches or, if a
// payload is not a job, of none.
func (f *Fake) PushBatches(_ context.Context, batches []queue.Batch) error {
	var jobs []Pushed
	for _, b := range batches {
		for _, p := range b.Jobs {
			j, err := envelope.ParseJob(p.Payload)
			if err != nil {
				return err
			}
			jobs = append(jobs, Pushed{j, b.Queue == "", p.At})
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = append(f.jobs, jobs...)
	return nil
}

// Jobs returns the jobs that were pushed and have not run, in the order of the pushes. With
// classes it returns only jobs of these.
func (f *Fake) Jobs(classes ...string) []Pushed {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Pushed
	for _, j := range f.jobs {
		if len(classes) == 0 || slices.Contains(classes, j.Class) {
			list = append(list, j)
		}
	}
	return list
}

// Clear removes all jobs.
func (f *Fake) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = nil
}

// Drain runs the jobs in the order of the pushes until none is left, scheduled ones and
// those that the jobs push too. It returns how many ran. It stops at the first error of a
// handler and returns it; that job is not run again.
func (f *Fake) Drain(ctx context.Context, m *worker.Mux) (ran int, err error) {
	for {
		j, ok := f.next()
		if !ok {
			return ran, nil
		}
		ran++
		if err := m.Run(ctx, j.Raw()); err != nil {
			return ran, fmt.Errorf("%s %s: %w", j.Class, j.JID, err)
		}
	}
}

// Run is one run of a job in Work.
type Run struct {
	*queue.Job
	At      time.Time // when it ran, on the clock of Work
	Outcome worker.Outcome
	Err     error // the handler's error
}

// maxRuns limits Work, so that a job that snoozes for ever does not hang a test.
const maxRuns = 10_000

// Work runs the jobs as a worker does, with retries, snoozes and schedules, until none is
// left, and returns the runs in order. Its clock begins now and jumps to the time of the next
// due job; handlers see the real time. The last run of a job that goes to the dead set has
// worker.OutcomeDead. The error of a handler is in its Run, and is no error of Work. Work
// returns an error if a payload is not a job, or if jobs are left after 10,000 runs.
func (f *Fake) Work(ctx context.Context, m *worker.Mux) (runs []Run, err error) {
	now := time.Now()
	for len(runs) < maxRuns {
		j, ok := f.due()
		if !ok {
			return runs, nil
		}
		if j.at.After(now) {
			now = j.at
		}
		r, err := m.Rehearse(ctx, j.Raw(), now)
		if err != nil {
			return runs, fmt.Errorf("%s %s: %w", j.Class, j.JID, err)
		}
		runs = append(runs, Run{j.Job, now, r.Outcome, r.Err})
		if r.At.IsZero() {
			continue
		}
		again, err := envelope.ParseJob(r.Payload)
		if err != nil {
			return runs, fmt.Errorf("%s %s: the payload of its next run: %w", j.Class, j.JID, err)
		}
		f.mu.Lock()
		f.jobs = append(f.jobs, Pushed{again, true, r.At})
		f.mu.Unlock()
	}
	return runs, fmt.Errorf("jobs are left after %d runs", maxRuns)
}

// due removes and returns the job that is due first; of several, the one pushed first.
func (f *Fake) due() (Pushed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.jobs) == 0 {
		return Pushed{}, false
	}
	first := 0
	for i := range f.jobs {
		if f.jobs[i].at.Before(f.jobs[first].at) {
			first = i
		}
	}
	j := f.jobs[first]
	f.jobs = slices.Delete(f.jobs, first, first+1)
	return j, true
}

// RequirePushed returns the jobs of a class that were pushed and have not run. It fails the
// test unless there are exactly n.
func (f *Fake) RequirePushed(t testing.TB, n int, class string) []Pushed {
	t.Helper()
	jobs := f.Jobs(class)
	if len(jobs) != n {
		t.Fatalf("%d jobs of class %s were pushed, want %d; in all: %s",
			len(jobs), class, n, f.classes())
	}
	return jobs
}

// classes counts the jobs by class, for RequirePushed's message.
func (f *Fake) classes() string {
	counts := map[string]int{}
	for _, j := range f.Jobs() {
		counts[j.Class]++
	}
	return fmt.Sprint(counts)
}

// next removes and returns the job that was pushed first.
func (f *Fake) next() (Pushed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.jobs) == 0 {
		return Pushed{}, false
	}
	j := f.jobs[0]
	f.jobs = f.jobs[1:]
	return j, true
}

// Inline is a queue.Backend that runs jobs when they are pushed, scheduled ones too; pass it
// to queue.NewClient. The push returns the handler's error.
type Inline struct {
	Mux *worker.Mux // the handlers
}

// PushBatches is the method of queue.Backend. It runs the jobs in order, and stops at the
// first that fails.
func (i *Inline) PushBatches(ctx context.Context, batches []queue.Batch) error {
	for _, b := range batches {
		for _, p := range b.Jobs {
			if err := i.Mux.Run(ctx, p.Payload); err != nil {
				return fmt.Errorf("inline job %s: %w", p.JID, err)
			}
		}
	}
	return nil
}

// Redis starts an empty Redis in the test's process and returns a Store on it. Both are
// closed at the end of the test.
func Redis(t testing.TB) *queue.Store {
	t.Helper()
	m := miniredis.RunT(t)
	s, err := queue.Open(t.Context(), queue.Config{URL: "redis://" + m.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
