package inspect

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Metrics returns the sums of the metrics of all shards, by class (see Inspector.Metrics).
func (f *Fleet) Metrics(ctx context.Context, d time.Duration, now time.Time) (list []ClassTotals,
	away []Away, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]ClassTotals, error) {
		return m.Metrics(ctx, d, now)
	})
	at := map[string]int{}
	for _, of := range all {
		for _, t := range of.Value {
			i, known := at[t.Class]
			if !known {
				at[t.Class] = len(list)
				list = append(list, t)
				continue
			}
			list[i].Processed += t.Processed
			list[i].Failed += t.Failed
			list[i].Millis += t.Millis
		}
	}
	slices.SortFunc(list, func(a, b ClassTotals) int {
		return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(a.Class, b.Class))
	})
	return list, away, err
}

// Classes returns the classes that run now in any shard, or ran in the time d before now (see
// Inspector.Classes). The threads of a process count once.
func (f *Fleet) Classes(ctx context.Context, d time.Duration) ([]ClassStatus, []Away, error) {
	now := time.Now()
	totals, away, err := f.Metrics(ctx, d, now)
	if err != nil {
		return nil, away, err
	}
	processes, _, err := f.Processes(ctx)
	if err != nil {
		return nil, away, err
	}
	found, more, err := f.WorkInProgress(ctx)
	work, threads := make([]Work, len(found)), 0
	for i, w := range found {
		work[i] = w.Work
	}
	for _, p := range processes {
		threads += p.Concurrency
	}
	list := classes(totals, work, now, d)
	for i := range list {
		list[i].AllThreads = threads
	}
	return list, alsoAway(away, more), err
}
