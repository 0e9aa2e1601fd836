package queue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// takeLua removes fields of a hash: the smallest script that takes jobs away.
const takeLua = `#!lua flags=allow-oom
local result = {}
for at = 1, #ARGV do
  result[#result + 1] = redis.call('HDEL', KEYS[1], ARGV[at])
  -- (effects)
end
redis.call('SET', KEYS[2], #KEYS .. ' ' .. #ARGV)
return result
`

var testKinds = []queue.Capability{
	{Kind: "unlock", Lua: "redis.call('DEL', keys[1])\nredis.call('RPUSH', keys[2], args[1])"},
	{Kind: "count", Lua: "redis.call('INCRBY', keys[1], args[1]) -- fails if it is no number"},
	{Kind: "broken", Lua: "redis.call('SET', keys[1], 'half')\nerror('no good')"},
}

func TestEffectsRunIfAndOnlyIfTheRemovalSucceeded(t *testing.T) {
	rdb := redistest.Start(t).Client()
	ctx := t.Context()
	for _, key := range []string{"lock1", "lock2", "lock3"} {
		rdb.Set(ctx, key, "x", 0)
	}
	rdb.RPush(ctx, "a list", "x")
	rdb.HSet(ctx, "held", "1", "a", "3", "c", "4", "d", "5", "e")
	items := [][]queue.Effect{
		{{Kind: "unlock", Keys: []string{"lock1", "log"}, Args: []string{"first"}}},
		{{Kind: "unlock", Keys: []string{"lock2", "log"}, Args: []string{"gone already"}}},
		{{Kind: "count", Keys: []string{"a list"}, Args: []string{"1"}},
			{Kind: "broken", Keys: []string{"half"}},
			{Kind: "unlock", Keys: []string{"lock3", "log"}, Args: []string{"after failures"}}},
		nil,
		{{Kind: "unheard_of"}, {Kind: "count", Keys: []string{"n"}, Args: []string{"5"}}},
	}
	keys, args := queue.AppendEffects([]string{"held", "saw"},
		[]any{"1", "2", "3", "4", "5"}, items)
	reply, err := rdb.Eval(ctx, queue.ScriptWithEffects(takeLua, testKinds), keys, args...).Slice()
	if err != nil || len(reply) != 5 {
		t.Fatal(reply, err)
	}
	for i, want := range []struct {
		code   int64
		failed []string
	}{
		{1, nil},
		{0, nil},
		{1, []string{"count: WRONGTYPE", "; broken: ", "no good"}},
		{1, nil},
		{1, []string{"unheard_of: "}},
	} {
		code, failed, err := queue.EffectResult(reply[i])
		if code != want.code || err != nil || (failed != "") != (want.failed != nil) {
			t.Errorf("item %d: %d %q %v", i+1, code, failed, err)
		}
		for _, part := range want.failed {
			if !strings.Contains(failed, part) {
				t.Errorf("item %d: no %q in %q", i+1, part, failed)
			}
		}
	}
	got := fmt.Sprintln(rdb.Exists(ctx, "lock1").Val(), rdb.Exists(ctx, "lock2").Val(),
		rdb.Exists(ctx, "lock3").Val(), rdb.HLen(ctx, "held").Val(),
		rdb.LRange(ctx, "log", 0, -1).Val(), rdb.Get(ctx, "n").Val(), rdb.Get(ctx, "saw").Val())
	if want := "0 1 0 0 [first after failures] 5 2 5\n"; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

func TestEffectsAtTheirLimitsFitIntoOneCall(t *testing.T) {
	rdb := redistest.Start(t).Client()
	ctx := t.Context()
	var items [][]queue.Effect
	var own []any
	for i := range 64 {
		token := fmt.Sprint(i)
		own = append(own, token)
		rdb.HSet(ctx, "held", token, "x")
		var list []queue.Effect
		for range 8 {
			e := queue.Effect{Kind: "count", Args: []string{"1"}}
			for k := range 31 {
				e.Keys = append(e.Keys, fmt.Sprint("n", k))
			}
			list = append(list, e)
		}
		items = append(items, list)
	}
	keys, args := queue.AppendEffects([]string{"held", "saw"}, own, items)
	text := queue.ScriptWithEffects(takeLua, testKinds)
	reply, err := rdb.Eval(ctx, text, keys, args...).Int64Slice()
	if err != nil || len(reply) != 64 || rdb.Get(ctx, "n0").Val() != "512" {
		t.Error(len(reply), err, rdb.Get(ctx, "n0").Val())
	}
}

func TestEffectsFitIntoTheSettleScript(t *testing.T) {
	rdb := redistest.Start(t).Client()
	load := func(list []queue.Capability) error {
		return rdb.ScriptLoad(t.Context(), queue.ScriptWithEffects(queue.SettleLua(), list)).Err()
	}
	if err := load(testKinds); err != nil {
		t.Error(err)
	}
	if load([]queue.Capability{{Kind: "broken", Lua: "this is not Lua"}}) == nil {
		t.Error("Lua that does not compile was loaded")
	}
}
