package queue_test

import (
	"fmt"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// takeLua removes fields of a hash: it is the smallest script that removes jobs.
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

func TestEffectsInLua(t *testing.T) {
	rdb, ctx := redistest.Start(t).Client(), t.Context()
	for _, key := range []string{"lock1", "lock2", "lock3"} {
		rdb.Set(ctx, key, "x", 0)
	}
	rdb.RPush(ctx, "a list", "x")
	rdb.HSet(ctx, "jobs", "1", "a", "3", "c", "4", "d", "5", "e") // no job 2
	items := [][]queue.Effect{
		{{Kind: "unlock", Keys: []string{"lock1", "log"}, Args: []string{"job 1"}}},
		{{Kind: "unlock", Keys: []string{"lock2", "log"}, Args: []string{"job 2"}}},
		{{Kind: "count", Keys: []string{"a list"}, Args: []string{"1"}},
			{Kind: "broken", Keys: []string{"half"}},
			{Kind: "unlock", Keys: []string{"lock3", "log"}, Args: []string{"job 3"}}},
		nil,
		{{Kind: "unheard_of"}, {Kind: "count", Keys: []string{"n"}, Args: []string{"5"}}},
	}
	keys, args := queue.AppendEffects([]string{"jobs", "saw"}, []any{"1", "2", "3", "4", "5"},
		items)
	reply, err := rdb.Eval(ctx, queue.ScriptWithEffects(takeLua, testKinds), keys, args...).Slice()
	if err != nil || len(reply) != 5 {
		t.Fatal(reply, err)
	}
	for i, want := range []struct {
		code   int64
		failed []string
	}{{1, nil}, {0, nil}, {1, []string{"count: WRONGTYPE", "; broken: ", "no good"}}, {1, nil},
		{1, []string{"unheard_of: "}}} {
		t.Run(fmt.Sprint("return the code and the failures of job ", i+1), func(t *testing.T) {
			code, failed, err := queue.EffectResult(reply[i])
			if err != nil {
				t.Fatal(err)
			}
			same(t, "the code", code, want.code)
			same(t, "whether an effect failed", failed != "", want.failed != nil)
			if want.failed != nil && !says(fmt.Errorf("%s", failed), want.failed...) {
				t.Errorf("%q, want %q", failed, want.failed)
			}
		})
	}
	t.Run("run if and only if the job was removed, and after others failed", func(t *testing.T) {
		same(t, "lock1", rdb.Exists(ctx, "lock1").Val(), 0)
		same(t, "lock2", rdb.Exists(ctx, "lock2").Val(), 1)
		same(t, "lock3", rdb.Exists(ctx, "lock3").Val(), 0)
		same(t, "log", fmt.Sprint(rdb.LRange(ctx, "log", 0, -1).Val()), "[job 1 job 3]")
		same(t, "n", rdb.Get(ctx, "n").Val(), "5")
	})
	t.Run("leave the script its own keys and arguments", func(t *testing.T) {
		same(t, "the jobs", rdb.HLen(ctx, "jobs").Val(), 0)
		same(t, "the numbers of keys and arguments", rdb.Get(ctx, "saw").Val(), "2 5")
	})
}

func TestEffectsAtTheirLimits(t *testing.T) {
	rdb, ctx := redistest.Start(t).Client(), t.Context()
	var items [][]queue.Effect
	var own []any
	for i := range 64 {
		token := fmt.Sprint(i)
		own = append(own, token)
		rdb.HSet(ctx, "jobs", token, "x")
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
	t.Run("fit into one call", func(t *testing.T) {
		keys, args := queue.AppendEffects([]string{"jobs", "saw"}, own, items)
		text := queue.ScriptWithEffects(takeLua, testKinds)
		reply, err := rdb.Eval(ctx, text, keys, args...).Int64Slice()
		if err != nil || len(reply) != 64 {
			t.Fatal(len(reply), err)
		}
		same(t, "n0", rdb.Get(ctx, "n0").Val(), "512")
	})
}

func TestSettleScriptWithEffects(t *testing.T) {
	rdb := redistest.Start(t).Client()
	load := func(list []queue.Capability) error {
		return rdb.ScriptLoad(t.Context(), queue.ScriptWithEffects(queue.SettleLua(), list)).Err()
	}
	t.Run("compiles", func(t *testing.T) {
		if err := load(testKinds); err != nil {
			t.Error(err)
		}
	})
	t.Run("does not compile with wrong Lua", func(t *testing.T) {
		if load([]queue.Capability{{Kind: "broken", Lua: "this is not Lua"}}) == nil {
			t.Error("no error")
		}
	})
}
