package lanes

import (
	_ "embed"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

var (
	//go:embed lua/common.lua
	commonLua string
	//go:embed lua/take.lua
	takeLua string
	//go:embed lua/effect.lua
	effectLua string
	//go:embed lua/page.lua
	pageLua string
	//go:embed lua/sift.lua
	siftLua string
	//go:embed lua/set.lua
	setLua string
	//go:embed lua/relist.lua
	relistLua string
	//go:embed lua/drain.lua
	drainLua string
	//go:embed lua/close.lua
	closeLua string
	//go:embed lua/suspend.lua
	suspendLua string
	//go:embed lua/repair.lua
	repairLua string
	//go:embed lua/forget.lua
	forgetLua string

	pageScript    = redisdb.NewScript("#!lua flags=allow-oom\n" + pageLua)
	siftScript    = step(siftLua)
	setScript     = step(setLua)
	relistScript  = step(relistLua)
	drainScript   = step(drainLua)
	closeScript   = step(closeLua)
	suspendScript = step(suspendLua)
	repairScript  = step(repairLua)
	forgetScript  = step(forgetLua)
)

// step returns a script on the lanes of a queue. Over its memory limit Redis runs it too, because
// it moves jobs that are in Redis, so that they can run.
func step(text string) *redisdb.Script {
	return redisdb.NewScript("#!lua flags=allow-oom\nlocal keys = KEYS\n" + commonLua + text)
}

// kindName is the kind of the capability.
const kindName = "lane"

// Capability keeps jobs in lanes. It belongs into the queue.Config of each Store that runs or
// reclaims jobs of queues with lanes.
func Capability() queue.Capability {
	return queue.Capability{Kind: kindName, Lua: commonLua + effectLua,
		Source: &queue.Source{Take: commonLua + takeLua, Words: words, Left: left,
			Bells: bells, Waits: waits, Count: ruleKey, Kept: kept, Lists: lists,
			Suspend: suspend},
		Moves: &queue.Moves{Rest: carryRules}}
}

// left returns the effect that frees a delivery's place in a lane.
func left(d *queue.Delivery, back bool, until time.Time) []queue.Effect {
	keys, _ := words(d.Queue, d.Owner.Identity)
	args := []string{strconv.FormatUint(d.Token, 10), "", "0"}
	if back {
		args[1] = "1"
	}
	if !until.IsZero() {
		args[2] = strconv.FormatInt(until.UnixMilli(), 10)
	}
	return []queue.Effect{{Kind: kindName, Keys: keys, Args: args}}
}
