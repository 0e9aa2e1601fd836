package queue

import (
	"context"
	"slices"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// ScriptWithEffects returns the text of a script with the effects of capabilities.
func ScriptWithEffects(base string, list []Capability) string {
	c, err := newCapabilities(list)
	if err != nil {
		panic(err)
	}
	return c.script(base).Text()
}

var (
	EffectResult = effectResult
)

// AppendEffects is appendEffects without a namespace.
func AppendEffects(keys []string, args []any, items [][]Effect) ([]string, []any) {
	return appendEffects("", keys, args, items)
}

// SettleLua returns the text of the settle script without effects.
func SettleLua() string { return settleScript.Text() }

// ScriptSHAs returns the names of settle and reclaim, each without and with the effects of s.
func ScriptSHAs(s *Store) (settle, reclaim [2]string) {
	pair := func(sc *redisdb.Script) [2]string {
		return [2]string{sc.SHA(), s.effects.copies[sc].SHA()}
	}
	return pair(settleScript), pair(reclaimScript)
}

// RedisOptions returns the options of go-redis for the fields of c.
func (c *Config) RedisOptions() (*redis.Options, error) { return c.options() }

// UnsiftSome is a call of Unsift that puts up to most jobs back. It returns how many are left.
func (s *Store) UnsiftSome(ctx context.Context, id, token string, sift Sift,
	most int) (int64, error) {
	return s.unsift(ctx, id, token, sift, most)
}

// HomeOf returns the index of the shard, of active ones with these names, in which a key belongs.
func HomeOf(key string, names ...string) int {
	r := &roster{names: names, active: slices.Repeat([]bool{true}, len(names))}
	at, _ := r.settle(home{key: key})
	return at
}
