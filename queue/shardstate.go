package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// ShardState says what a shard is for now.
type ShardState string

const (
	// ShardActive shards get new jobs. A shard without a state is active.
	ShardActive ShardState = "active"
	// ShardDraining shards get no new jobs from clients. Workers serve them until they are empty.
	ShardDraining ShardState = "draining"
	// ShardRemoved shards get no new jobs, and are empty. The state stays, because a program that
	// still has the shard in its KYU_SHARDS would place jobs there if its name had no state.
	ShardRemoved ShardState = "removed"
)

// ShardStates are the states of all shards that were ever given one. The highest epoch counts.
type ShardStates struct {
	Epoch  int
	States map[string]ShardState
}

// Of returns the state of a shard.
func (s *ShardStates) Of(name string) ShardState {
	if state, known := s.States[name]; known {
		return state
	}
	return ShardActive
}

// States reads the states from every shard that answers, and returns the newest. The error is nil
// if one shard answered.
func (s *Shards) States(ctx context.Context) (newest ShardStates, err error) {
	all, errs := make([]ShardStates, len(s.list)), make([]error, len(s.list))
	var g sync.WaitGroup // ends before States returns
	for i, shard := range s.list {
		g.Go(func() {
			var err error
			all[i], err = shard.Store.ShardStates(ctx)
			errs[i] = shard.explain(err)
		})
	}
	g.Wait()
	if !slices.Contains(errs, nil) {
		return newest, errors.Join(errs...)
	}
	for _, states := range all {
		if states.Epoch > newest.Epoch {
			newest = states
		}
	}
	return newest, nil
}

// ShardStates reads the states that are written in this shard.
func (s *Store) ShardStates(ctx context.Context) (ShardStates, error) {
	fields, err := s.db.Shared.HGetAll(ctx, s.ks.ShardStates()).Result()
	if err != nil {
		return ShardStates{}, fmt.Errorf("states of shards: %w", err)
	}
	states := ShardStates{States: map[string]ShardState{}}
	for name, value := range fields {
		if name == "epoch" {
			states.Epoch, _ = strconv.Atoi(value)
		} else {
			states.States[name] = ShardState(value)
		}
	}
	return states, nil
}

// SetState gives a shard a state, in the records of all shards that answer. The state "" removes
// the name. Two changes at once are safe: the error of one of them says that it came too late.
// Otherwise the error is nil if one shard has the new record, and the others learn it from there.
func (s *Shards) SetState(ctx context.Context, name string, state ShardState) error {
	now, err := s.States(ctx)
	if err != nil {
		return err
	}
	now.Epoch++
	args := []any{now.Epoch}
	if now.States == nil {
		now.States = map[string]ShardState{}
	}
	if now.States[name] = state; state == "" {
		delete(now.States, name)
	}
	for shard, state := range now.States {
		args = append(args, shard, string(state))
	}
	var errs []error
	reached := false
	for _, shard := range s.list {
		written, err := shard.Store.db.Run(ctx, shardStateScript,
			[]string{shard.Store.ks.ShardStates()}, args...).Int()
		switch {
		case err != nil:
			errs = append(errs, shard.explain(fmt.Errorf("state of shard: %w", err)))
		case written == 0:
			return errors.New("the state of a shard was changed at the same moment: try again")
		default:
			reached = true
		}
	}
	if reached {
		return nil
	}
	return errors.Join(errs...)
}
