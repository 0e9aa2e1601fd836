package inspect

import (
	"context"

	"github.com/kyujobs/kyu/queue"
)

// ShardStatus describes a shard.
type ShardStatus struct {
	Shard     string           `json:"shard"`
	Address   string           `json:"address"`
	State     queue.ShardState `json:"state"`
	Away      string           `json:"away,omitempty"` // why it does not answer; the rest is 0 then
	Enqueued  int64            `json:"enqueued"`
	Busy      int              `json:"busy"`
	Retries   int64            `json:"retries"`
	Scheduled int64            `json:"scheduled"`
	Dead      int64            `json:"dead"`
	Processes int64            `json:"processes"`    // that have a record in it
	Memory    int64            `json:"memory_bytes"` // 0 if it does not say it
	MaxMemory int64            `json:"max_memory_bytes"`
}

// Status describes all shards, in their order.
func (f *Fleet) Status(ctx context.Context) (list []ShardStatus, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (ShardStatus, error) {
		return m.status(ctx)
	})
	if err != nil && !f.Several() {
		return nil, err
	}
	states, _ := f.states(ctx, len(all))
	for _, m := range f.members {
		s := ShardStatus{Shard: m.Name}
		for _, of := range all {
			if of.Member == m {
				s = of.Value
			}
		}
		for _, a := range away {
			if a.Shard == m.Name {
				s.Away = a.Error
			}
		}
		s.Address, s.State = m.db.Addr, states.Of(m.Name)
		list = append(list, s)
	}
	return list, nil
}

// states are those that the shards that answer have written.
func (f *Fleet) states(ctx context.Context, here int) (newest queue.ShardStates, err error) {
	if here == 0 {
		return newest, nil
	}
	all, _, err := Each(ctx, f, func(ctx context.Context, m *Member) (queue.ShardStates, error) {
		return m.Store.ShardStates(ctx)
	})
	for _, of := range all {
		if of.Value.Epoch > newest.Epoch {
			newest = of.Value
		}
	}
	return newest, err
}

// status describes the shard.
func (m *Member) status(ctx context.Context) (s ShardStatus, err error) {
	stats, err := m.Stats(ctx)
	if err != nil {
		return s, err
	}
	s = ShardStatus{Shard: m.Name, Enqueued: stats.Enqueued, Busy: stats.Busy,
		Retries: stats.Retries, Scheduled: stats.Scheduled, Dead: stats.Dead,
		Processes: stats.Processes}
	if info, err := m.db.Info(ctx); err == nil { // a user without the right sees no memory
		s.Memory, s.MaxMemory = info.UsedMemory, info.MaxMemory
	}
	return s, nil
}
