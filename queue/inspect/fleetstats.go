package inspect

import (
	"context"
	"slices"
)

// FleetStats are the numbers of all shards that answered.
type FleetStats struct {
	Stats
	Away []Away `json:"away,omitempty"` // shards whose numbers are missing
}

// Stats reads the numbers: sums, but of latencies the largest. A process counts once.
func (f *Fleet) Stats(ctx context.Context) (st FleetStats, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (Stats, error) {
		return m.Stats(ctx)
	})
	for _, of := range all {
		st.add(of.Value)
	}
	st.Away = away
	if err != nil || !f.Several() {
		return st, err
	}
	processes, more, err := f.Processes(ctx)
	st.Processes, st.Away = int64(len(processes)), alsoAway(st.Away, more)
	return st, err
}

// add adds the numbers of a shard.
func (s *Stats) add(o Stats) {
	s.Processed += o.Processed
	s.Failed += o.Failed
	s.Expired += o.Expired
	s.Enqueued += o.Enqueued
	s.Parked += o.Parked
	s.Scheduled += o.Scheduled
	s.Retries += o.Retries
	s.Dead += o.Dead
	s.Processes += o.Processes
	s.Busy += o.Busy
	s.DefaultLatency = max(s.DefaultLatency, o.DefaultLatency)
}

// alsoAway joins two lists of shards that are away. Each shard is in it once.
func alsoAway(list, more []Away) []Away {
	for _, a := range more {
		if !slices.ContainsFunc(list, func(b Away) bool { return a.Shard == b.Shard }) {
			list = append(list, a)
		}
	}
	return list
}

// History returns the last days, today first (see Inspector.History).
func (f *Fleet) History(ctx context.Context, days int) (list []Day, away []Away, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]Day, error) {
		return m.History(ctx, days)
	})
	for _, of := range all {
		if list == nil {
			list = of.Value
			continue
		}
		for i, d := range of.Value {
			list[i].Processed += d.Processed
			list[i].Failed += d.Failed
			list[i].Expired += d.Expired
		}
	}
	return list, away, err
}

// LiveState reads the state of all shards.
func (f *Fleet) LiveState(ctx context.Context) (st LiveState, err error) {
	if !f.Several() {
		return f.members[0].LiveState(ctx)
	}
	stats, err := f.Stats(ctx)
	if err != nil {
		return st, err
	}
	queues, _, err := f.Queues(ctx)
	if err != nil {
		return st, err
	}
	processes, _, err := f.Processes(ctx)
	st = LiveState{Processed: stats.Processed, Failed: stats.Failed, Enqueued: stats.Enqueued,
		Scheduled: stats.Scheduled, Retries: stats.Retries, Dead: stats.Dead,
		Processes: int64(len(processes)), Queues: []LiveQueue{}, Fleet: []LiveProcess{}}
	for _, q := range queues[:min(len(queues), LiveRows)] {
		st.Queues = append(st.Queues, LiveQueue{q.Name, q.Size, q.Paused, q.Parked})
	}
	for i, p := range processes {
		st.Busy += p.Busy
		st.Threads += p.Concurrency
		if i < LiveRows {
			st.Fleet = append(st.Fleet, LiveProcess{p.Identity, p.Busy, p.Concurrency, p.Quiet})
		}
	}
	for _, a := range stats.Away { // the names only: texts of errors may have times
		st.Away = append(st.Away, a.Shard)
	}
	return st, err
}
