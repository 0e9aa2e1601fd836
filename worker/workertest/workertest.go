// Package workertest is for the tests of programs that push and handle jobs:
//
//   - Fake collects what is pushed, to look at, to drain, or to work off with its retries;
//   - Inline runs every job when it is pushed;
//   - Redis is a Redis in the test's own process, for everything else.
//
// All three send a job through its JSON form, so that a test sees the arguments
// as the worker will.
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

// Fake is a queue.Backend that keeps jobs in memory. Its zero value is empty
// and ready. Safe for concurrent use.
type Fake struct {
	mu   sync.Mutex
	jobs []Pushed
}

// Pushed is a job that was pushed.
type Pushed struct {
	*queue.Job
	Scheduled bool // it was not for now

	at time.Time // when it is due; zero: at once
}

// PushBatches keeps the jobs of all batches, or, after an error, of none.
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

// Jobs are the jobs that were pushed and not drained, in order; of the given
// classes, if any are given.
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

// Clear forgets all jobs.
func (f *Fake) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.jobs = nil
}

// Drain runs the jobs in order, scheduled ones too, and those that they push,
// until none is left, and returns how many ran. It stops at the first error; the
// job that failed is not run again.
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
	At      time.Time // on the clock of Work
	Outcome worker.Outcome
	Err     error // the handler's
}

// maxRuns bounds Work: a job that snoozes for ever must not hang a test.
const maxRuns = 10_000

// Work runs the jobs as a worker would, with their retries, snoozes and schedules, on a clock
// that begins now and jumps from one job to the next that is due; handlers see the real time.
// It returns the runs in their order, when no job is left. A job that dies is in the last of its
// runs with worker.OutcomeDead. The error says that a payload is not a job, or that jobs still
// come after 10,000 runs. The jobs' failures are no errors: look at the runs.
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
			return runs, fmt.Errorf("%s %s comes again as no job: %w", j.Class, j.JID, err)
		}
		f.mu.Lock()
		f.jobs = append(f.jobs, Pushed{again, true, r.At})
		f.mu.Unlock()
	}
	return runs, fmt.Errorf("after %d runs jobs still come", maxRuns)
}

// due takes out the job that is due first; of several the one that was pushed first.
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

// RequirePushed fails the test unless exactly n jobs of a class were pushed and not run, and
// returns them.
func (f *Fake) RequirePushed(t testing.TB, n int, class string) []Pushed {
	t.Helper()
	jobs := f.Jobs(class)
	if len(jobs) != n {
		t.Fatalf("%d jobs of class %s were pushed, want %d; in all: %s",
			len(jobs), class, n, f.classes())
	}
	return jobs
}

// classes lists what was pushed, for messages.
func (f *Fake) classes() string {
	counts := map[string]int{}
	for _, j := range f.Jobs() {
		counts[j.Class]++
	}
	return fmt.Sprint(counts)
}

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

// Inline is a queue.Backend that runs jobs when they are pushed, scheduled ones
// too. A handler's error is the push's.
type Inline struct {
	Mux *worker.Mux
}

// PushBatches runs the jobs of all batches. It cannot run all or none: a job that fails
// leaves out those after it.
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

// Redis starts an empty Redis in the test's process and connects to it. It ends
// with the test.
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
