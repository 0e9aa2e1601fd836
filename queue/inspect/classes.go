package inspect

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// ClassStatus describes the jobs of a class: those that run now, and the runs of a time. The class
// is that of the metrics: of an ActiveJob its own, of a mail the class that delivers mails.
type ClassStatus struct {
	Class      string    `json:"class"`
	Threads    int       `json:"threads"`                // that run its jobs now
	AllThreads int       `json:"all_threads"`            // of all processes, Ruby's too
	Oldest     time.Time `json:"oldest_run_at,omitzero"` // when its longest running job began
	OldestJID  string    `json:"oldest_jid,omitempty"`   // of this job
	Runs       int64     `json:"runs"`                   // that ended, with those that failed
	Failures   int64     `json:"failures"`
	Mean       float64   `json:"mean_seconds"`            // of a successful run; 0 without any
	Time       float64   `json:"thread_seconds"`          // of successful runs, and of those now
	Share      float64   `json:"share_of_thread_seconds"` // of all classes', from 0 to 1
}

// Classes returns the classes that run now, or ran in the time d before now, at most MaxMetrics.
// The one that takes the most thread time is first. Sidekiq's metrics do not say how long failed
// runs took, so their time is not counted.
func (in *Inspector) Classes(ctx context.Context, d time.Duration) ([]ClassStatus, error) {
	now := time.Now()
	totals, err := in.Metrics(ctx, d, now)
	if err != nil {
		return nil, err
	}
	processes, err := in.Processes(ctx)
	if err != nil {
		return nil, err
	}
	work, err := in.workOf(ctx, processes)
	if err != nil {
		return nil, err
	}
	threads := 0
	for _, p := range processes {
		threads += p.Concurrency
	}
	list := classes(totals, work, now, d)
	for i := range list {
		list[i].AllThreads = threads
	}
	return list, nil
}

// classes adds up the ended and the running runs of each class.
func classes(totals []ClassTotals, work []Work, now time.Time, d time.Duration) []ClassStatus {
	byName := map[string]*ClassStatus{}
	for _, t := range totals {
		c := &ClassStatus{Class: t.Class, Runs: t.Processed, Failures: t.Failed,
			Time: float64(t.Millis) / 1000}
		if n := t.Processed - t.Failed; n > 0 {
			c.Mean = c.Time / float64(n)
		}
		byName[t.Class] = c
	}
	for _, w := range work { // the longest running first
		if w.Job == nil {
			continue
		}
		class, _ := w.Job.Unwrapped()
		c := byName[class]
		if c == nil {
			c = &ClassStatus{Class: class}
			byName[class] = c
		}
		if c.Threads++; c.Threads == 1 {
			c.Oldest, c.OldestJID = w.RunAt, w.Job.JID
		}
		if !w.RunAt.IsZero() {
			c.Time += max(0, min(now.Sub(w.RunAt), d)).Seconds()
		}
	}
	sum := 0.0
	for _, c := range byName {
		sum += c.Time
	}
	list := make([]ClassStatus, 0, len(byName))
	for _, c := range byName {
		if sum > 0 {
			c.Share = c.Time / sum
		}
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b ClassStatus) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Class, b.Class))
	})
	return list
}
