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

// EffectsError says that jobs were removed, but that effects of theirs failed.
type EffectsError struct {
	Jobs int      // how many
	Why  []string // the reasons of the first five jobs
}

func (e *EffectsError) Error() string {
	return fmt.Sprintf("%d jobs were removed, but effects of theirs failed: %s", e.Jobs,
		strings.Join(e.Why, "; "))
}

func (e *EffectsError) add(reason string) {
	if e.Jobs++; e.Jobs <= 5 {
		e.Why = append(e.Why, reason)
	}
}

// unless returns err or, if err is nil and e has jobs, e.
func (e *EffectsError) unless(err error) error {
	if err == nil && e.Jobs > 0 {
		return e
	}
	return err
}

// effectScripts are capabilities, and the copies of scripts that carry out their effects and make
// their claims.
type effectScripts struct {
	*capabilities
	copies map[*redisdb.Script]*redisdb.Script // by the script without effects
	source *redisdb.Script                     // fetch with sources; nil without a Source
}

func newEffectScripts(list []Capability) (*effectScripts, error) {
	c, err := newCapabilities(list)
	if c == nil || err != nil {
		return nil, err
	}
	e := &effectScripts{capabilities: c, copies: map[*redisdb.Script]*redisdb.Script{}}
	for _, base := range []*redisdb.Script{settleScript, reclaimScript, dropScript,
		operateScript, siftScript, tailScript, landScript, moveDropScript,
		carryScript} {
		e.copies[base] = c.script(base.Text())
	}
	for _, base := range []*redisdb.Script{pushScript, claimScript} {
		e.copies[base] = c.claiming(base.Text())
	}
	if c.hasSource() {
		e.source = sourceScript(fetchScript.Text(), c.list)
	}
	return e, nil
}

// load loads the copies. The error says if the Lua of a capability does not compile.
func (e *effectScripts) load(ctx context.Context, db *redisdb.DB) error {
	if e == nil {
		return nil
	}
	scripts := slices.Collect(maps.Values(e.copies))
	if e.source != nil {
		scripts = append(scripts, e.source)
	}
	err := db.Load(ctx, scripts...)
	if errors.Is(err, redisdb.ErrScript) {
		return fmt.Errorf("the Redis at %s: %w: %w", db.Addr, errCapability, err)
	}
	return err
}

// Effects returns the effects of the removal of a job, for a Settlement. The error names each
// capability that panicked or returned a wrong list. The effects of the other capabilities are
// returned with the error.
func (o *Owner) Effects(j *Job, event EffectEvent) ([]Effect, error) {
	if o.store.effects == nil {
		return nil, nil
	}
	return o.store.effects.effects(j, event)
}

// effectsOf returns the effects of the removal of a job, and the text of the error, in one line.
func (s *Store) effectsOf(j *Job, event EffectEvent) (list []Effect, problem string) {
	if s.effects == nil {
		return nil, ""
	}
	list, err := s.effects.effects(j, event)
	if err != nil {
		problem = strings.ReplaceAll(err.Error(), "\n", "; ") + "; "
	}
	return list, problem
}

func (x Settlement) hasEffects() bool { return len(x.Effects) > 0 }

// runEffects runs a script, or its copy if an item has effects. It returns the codes of the reply
// and, for each, the effects that failed. If Redis forbids the keys of a single item, the item is
// removed without its effects: otherwise the job could never be removed.
func (s *Store) runEffects(ctx context.Context, c redis.Scripter, base *redisdb.Script,
	keys []string, args []any, items [][]Effect) (codes []int64, failed []string, err error) {
	some := func(list []Effect) bool { return len(list) > 0 }
	var reply []any
	plain, forbidden := !slices.ContainsFunc(items, some), ""
	if !plain {
		allKeys, allArgs := appendEffects(s.ks, keys, args, items)
		reply, err = s.db.RunOn(ctx, c, s.effects.copies[base], allKeys, allArgs...).Slice()
		if redisdb.ForbidsKey(err) && len(items) == 1 {
			plain, forbidden = true, "no effect was carried out: "+err.Error()
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
