package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// FleetFound is a job that a search has found, and its shard.
type FleetFound struct {
	Found
	Shard string
}

// FleetSearch is what a search of all shards has found.
type FleetSearch struct {
	Found []FleetFound // those of the first shard first
	Read  int64        // how many jobs were read
	More  bool         // the search ended before it had read all jobs
	Away  []Away
}

// Search looks in all shards for the jobs that a filter chooses (see Inspector.Search), and returns
// at most limit of them.
func (f *Fleet) Search(ctx context.Context, filter Filter, limit int) (s FleetSearch, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (Search, error) {
		return m.Search(ctx, filter, limit)
	})
	s.Away = away
	for _, of := range all {
		s.Read += of.Value.Read
		s.More = s.More || of.Value.More
		for _, found := range of.Value.Found {
			if len(s.Found) == limit {
				s.More = true
				break
			}
			s.Found = append(s.Found, FleetFound{found, f.label(of.Member)})
		}
	}
	return s, err
}

// Locate finds a job by its JID in any shard. If it is in none, the error is queue.ErrNotFound, and
// names the shards that are away: it may be there.
func (f *Fleet) Locate(ctx context.Context, jid string) (m *Member, p Place, j *queue.Job,
	err error) {
	type located struct {
		place Place
		job   *queue.Job
	}
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (l located, err error) {
		l.place, l.job, err = m.Locate(ctx, jid)
		if errors.Is(err, queue.ErrNotFound) && f.Several() {
			err = nil
		}
		return l, err
	})
	if err != nil {
		return nil, p, nil, err
	}
	for _, of := range all {
		if of.Value.job != nil {
			return of.Member, of.Value.place, of.Value.job, nil
		}
	}
	err = fmt.Errorf("job %s: %w: it is done, or was deleted, or never existed", jid,
		queue.ErrNotFound)
	for _, a := range away {
		err = fmt.Errorf("%w; %v: it may be there", err, a)
	}
	return nil, p, nil, err
}

// FleetFinding is something that is stuck, and its shard.
type FleetFinding struct {
	Finding
	Shard string `json:"shard,omitempty"`
}

// Stuck returns what is stuck in any shard (see Inspector.Stuck), and shards that are away: their
// jobs wait.
func (f *Fleet) Stuck(ctx context.Context, longRun time.Duration) (list []FleetFinding,
	err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]Finding, error) {
		return m.Stuck(ctx, longRun)
	})
	for _, a := range away {
		list = append(list, FleetFinding{Finding{What: "away: " + a.Error,
			Where: "shard " + a.Shard,
			Do:    "look at its Redis: its jobs wait until it answers"}, a.Shard})
	}
	for _, of := range all {
		for _, found := range of.Value {
			if f.Several() {
				found.Where = "shard " + of.Member.Name + ", " + found.Where
			}
			list = append(list, FleetFinding{found, f.label(of.Member)})
		}
	}
	return list, err
}

// FleetOperation is a bulk operation, which is of one shard.
type FleetOperation struct {
	*Operation
	Shard string `json:"shard,omitempty"`
}

// Operations returns the last count operations of all shards, the latest first.
func (f *Fleet) Operations(ctx context.Context, count int64) (list []FleetOperation, away []Away,
	err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]*Operation, error) {
		return m.Operations(ctx, count)
	})
	for _, of := range all {
		for _, o := range of.Value {
			list = append(list, FleetOperation{o, f.label(of.Member)})
		}
	}
	slices.SortStableFunc(list, func(a, b FleetOperation) int {
		return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(a.Shard, b.Shard))
	})
	return list[:min(count, int64(len(list)))], away, err
}

// FleetHeld is a class that has held jobs, in all shards.
type FleetHeld struct {
	Held
	Shards []string `json:"shards,omitempty"` // nil if there is one shard
}

// HeldClasses returns the classes that have held jobs in any shard, by name.
func (f *Fleet) HeldClasses(ctx context.Context) (list []FleetHeld, away []Away, err error) {
	all, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]Held, error) {
		return m.HeldClasses(ctx)
	})
	for _, of := range all {
		for _, h := range of.Value {
			i := slices.IndexFunc(list, func(o FleetHeld) bool { return o.Class == h.Class })
			if i < 0 {
				i = len(list)
				list = append(list, FleetHeld{Held: Held{Class: h.Class, Oldest: h.Oldest}})
			}
			list[i].Size += h.Size
			if h.Oldest.Before(list[i].Oldest) {
				list[i].Oldest = h.Oldest
			}
			if f.Several() {
				list[i].Shards = append(list[i].Shards, of.Member.Name)
			}
		}
	}
	slices.SortFunc(list, func(a, b FleetHeld) int { return cmp.Compare(a.Class, b.Class) })
	return list, away, err
}
