// Package workertest is for the tests of programs that push and handle jobs:
//
//   - Fake collects what is pushed, to look at and to drain;
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

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/queue"
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
}

// PushBatches keeps the jobs of all batches, or, after an error, of none.
func (f *Fake) PushBatches(_ context.Context, batches []queue.Batch) error {
	var jobs []Pushed
	for _, b := range batches {
		for _, p := range b.Jobs {
			j, err := queue.ParseJob(p.Payload)
			if err != nil {
				return err
			}
			jobs = append(jobs, Pushed{j, b.Queue == ""})
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
