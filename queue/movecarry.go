package queue

import (
	"context"
	"errors"
	"fmt"
)

// Moves lets a capability take along what it keeps when jobs move from a draining shard to another
// one. The mover is the only caller.
type Moves struct {
	// Key returns a key that jobs share which must be in one shard, such as the name of a lock, or
	// "". It must be the first key of the claims of such jobs, because clients place by that one.
	Key func(j *Job) string
	// Carry says what jobs hold in the shard from, and what is done when they move. It is asked
	// before a job is taken out of its place, and again when nothing but the mover has it. It is
	// asked only about jobs with a Key.
	Carry func(ctx context.Context, from *Store, jobs []*Job) ([]Carried, error)
	// Rest carries what the capability keeps in the shard from besides what jobs hold. It may be
	// called often, and each time anything else may be there already. It returns what a person
	// must know, a sentence each.
	Rest func(ctx context.Context, from *Store, to MoveTargets) (said []string, err error)
}

// Carried is what a job holds.
type Carried struct {
	Stays string   // why the job must not move now; "" if it may
	Land  []Effect // carried out in the shard to which it comes, in the script that puts it there
	Drop  []Effect // carried out in the shard from which it came, when it is in the other one
}

// MoveTargets are the shards to which jobs with a key move.
type MoveTargets struct{ Active []Shard }

// Of returns the shard of a key.
func (t MoveTargets) Of(key string) Shard {
	name := Rendezvous(key, namesOf(t.Active))
	for _, s := range t.Active {
		if s.Name == name {
			return s
		}
	}
	return Shard{}
}

func namesOf(list []Shard) []string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Name
	}
	return names
}

// movesOf returns the capabilities that take something along.
func (s *Store) movesOf() (list []*Moves) {
	if s.effects == nil {
		return nil
	}
	for i := range s.effects.list {
		if m := s.effects.list[i].Moves; m != nil {
			list = append(list, m)
		}
	}
	return list
}

// keyOf returns the key by which a job must be placed because of what it holds, or "".
func (m *Moves) keyOf(j *Job) string {
	if m.Key == nil {
		return ""
	}
	return m.Key(j)
}

// moveKey returns the key by which a job is placed; "" if any shard will do.
func (s *Store) moveKey(j *Job) string {
	if j == nil {
		return ""
	}
	for _, m := range s.movesOf() {
		if key := m.keyOf(j); key != "" {
			return key
		}
	}
	return ""
}

// carry returns what each job of a list holds, by its index.
func (s *Store) carry(ctx context.Context, list []moving) ([]Carried, error) {
	all := make([]Carried, len(list))
	for _, m := range s.movesOf() {
		var jobs []*Job
		var at []int
		for i := range list {
			if j := list[i].job; j != nil && m.keyOf(j) != "" {
				jobs, at = append(jobs, j), append(at, i)
			}
		}
		if len(jobs) == 0 {
			continue
		}
		some, err := m.Carry(ctx, s, jobs)
		if err != nil {
			return nil, err
		}
		for k, c := range some {
			to := &all[at[k]]
			if to.Stays == "" {
				to.Stays = c.Stays
			}
			to.Land, to.Drop = append(to.Land, c.Land...), append(to.Drop, c.Drop...)
		}
	}
	return all, nil
}

// CarryRest carries what capabilities keep in the shard from besides what jobs hold to the active
// shards. It returns what a person must know. It may be repeated.
func CarryRest(ctx context.Context, from Shard, active []Shard) (said []string, err error) {
	var errs []error
	for _, m := range from.Store.movesOf() {
		if m.Rest == nil {
			continue
		}
		some, err := m.Rest(ctx, from.Store, MoveTargets{active})
		said = append(said, some...)
		if err != nil {
			errs = append(errs, fmt.Errorf("shard %s: %w", from.Name, err))
		}
	}
	return said, errors.Join(errs...)
}

// Carry carries out an effect that belongs to no job. It is for Moves.Rest.
func (s *Store) Carry(ctx context.Context, e Effect) error {
	_, failed, err := s.runEffects(ctx, s.db.Shared, carryScript, []string{s.ks.Moving()}, nil,
		[][]Effect{{e}})
	if err == nil && failed[0] != "" {
		err = errors.New(failed[0])
	}
	return err
}
