package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

var errCapability = errors.New("the Lua of a capability does not compile")

// EffectsError says that jobs have left, but not all that they held beside themselves was
// released.
type EffectsError struct {
	Jobs int
	Why  []string // of the first few
}

func (e *EffectsError) Error() string {
	return fmt.Sprintf("%d jobs have left, but not all that they held was released: %s", e.Jobs,
		strings.Join(e.Why, "; "))
}

func (e *EffectsError) add(why string) {
	if e.Jobs++; e.Jobs <= 5 {
		e.Why = append(e.Why, why)
	}
}

// unless is err, else e if it tells of any job.
func (e *EffectsError) unless(err error) error {
	if err == nil && e.Jobs > 0 {
		return e
	}
	return err
}

// effectScripts are capabilities, and the copies of scripts that carry their effects out.
type effectScripts struct {
	*capabilities
	copies map[*redisdb.Script]*redisdb.Script // by the script that knows no effects
}

func newEffectScripts(list []Capability) (*effectScripts, error) {
	c, err := newCapabilities(list)
	if c == nil || err != nil {
		return nil, err
	}
	e := &effectScripts{c, map[*redisdb.Script]*redisdb.Script{}}
	for _, base := range []*redisdb.Script{settleScript, reclaimScript, dropScript} {
		e.copies[base] = c.script(base.Text())
	}
	return e, nil
}

// load finds out whether the capabilities' Lua compiles.
func (e *effectScripts) load(ctx context.Context, db *redisdb.DB) error {
	if e == nil {
		return nil
	}
	err := db.Load(ctx, slices.Collect(maps.Values(e.copies))...)
	if errors.Is(err, redisdb.ErrScript) {
		return fmt.Errorf("the Redis at %s: %w: %w", db.Addr, errCapability, err)
	}
	return err
}

// Effects are what is to be done when a job leaves. The error names a capability that gave
// what it must not, or panicked; the others' effects are given all the same.
func (s *Store) Effects(j *Job, event EffectEvent) ([]Effect, error) {
	if s.effects == nil {
		return nil, nil
	}
	return s.effects.effects(j, event)
}

// ask is Effects, with a text instead of an error.
func (s *Store) ask(j *Job, event EffectEvent) (list []Effect, unclear string) {
	list, err := s.Effects(j, event)
	if err != nil {
		unclear = strings.ReplaceAll(err.Error(), "\n", "; ") + "; "
	}
	return list, unclear
}

func (x Settlement) hasEffects() bool { return len(x.Effects) > 0 }

// runEffects runs a script, or its copy if an item has effects, and gives the numbers of its
// reply and, beside each, which effects failed. If Redis forbids the keys of a single item, it
// is taken away without its effects: they must not hold a job up for ever.
func (s *Store) runEffects(ctx context.Context, c redis.Scripter, base *redisdb.Script,
	keys []string, args []any, items [][]Effect) (codes []int64, failed []string, err error) {
	some := func(list []Effect) bool { return len(list) > 0 }
	var reply []any
	plain, forbidden := !slices.ContainsFunc(items, some), ""
	if !plain {
		allKeys, allArgs := appendEffects(keys, args, items)
		reply, err = s.db.RunOn(ctx, c, s.effects.copies[base], allKeys, allArgs...).Slice()
		if redisdb.ForbidsKey(err) && len(items) == 1 {
			plain, forbidden = true, "nothing was carried out: "+err.Error()
		}
	}
	if plain {
		reply, err = s.db.RunOn(ctx, c, base, keys, args...).Slice()
	}
	if err != nil {
		return nil, nil, err
	}
	codes, failed = make([]int64, len(reply)), make([]string, len(reply))
	for i, v := range reply {
		if codes[i], failed[i], err = effectResult(v); err != nil {
			return nil, nil, err
		}
	}
	if last := len(codes) - 1; last >= 0 && codes[last] > 0 && forbidden != "" {
		failed[last] = forbidden
	}
	return codes, failed, nil
}

// settleEffects is Settle, with the effects of the batch.
func (s *Store) settleEffects(ctx context.Context, batch []Settlement, keys []string,
	args []any) ([]Result, error) {
	items := make([][]Effect, len(batch))
	for i := range batch {
		items[i] = batch[i].Effects
	}
	codes, failed, err := s.runEffects(ctx, s.db.Own, settleScript, keys, args, items)
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	results := make([]Result, len(batch))
	for i := range results {
		results[i] = Result(codes[i])
		if batch[i].Failed = failed[i]; failed[i] != "" {
			results[i] = Partly
		}
	}
	return results, nil
}
