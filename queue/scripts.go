package queue

import (
	"bytes"
	"embed"

	"github.com/kyujobs/kyu/internal/redisdb"
)

//go:embed lua/*.lua
var luaFiles embed.FS

var (
	answerScript   = redisdb.MustScript(luaFiles, "lua/answer.lua")
	fetchScript    = redisdb.MustScript(luaFiles, "lua/fetch.lua")
	settleScript   = redisdb.MustScript(luaFiles, "lua/settle.lua")
	pushScript     = redisdb.MustScript(luaFiles, "lua/push.lua")
	promoteScript  = redisdb.MustScript(luaFiles, "lua/promote.lua")
	registerScript = redisdb.MustScript(luaFiles, "lua/register.lua")
	beatScript     = redisdb.MustScript(luaFiles, "lua/beat.lua")
	fenceScript    = redisdb.MustScript(luaFiles, "lua/fence.lua")
	reclaimScript  = redisdb.MustScript(luaFiles, "lua/reclaim.lua")
	forgetScript   = redisdb.MustScript(luaFiles, "lua/forget.lua")
	sweepScript    = redisdb.MustScript(luaFiles, "lua/sweep.lua")
	aloneScript    = redisdb.MustScript(luaFiles, "lua/alone.lua")
	besideScript   = redisdb.MustScript(luaFiles, "lua/beside.lua")
	publishScript  = redisdb.MustScript(luaFiles, "lua/publish.lua")

	allScripts = []*redisdb.Script{answerScript, fetchScript, settleScript, pushScript, promoteScript,
		registerScript, beatScript, fenceScript, reclaimScript, forgetScript, sweepScript,
		aloneScript, besideScript, publishScript, pageScript, oldestScript}
)

// sent names the failpoint of a command that has just been written, or "".
func sent(command []byte) string {
	switch {
	case promoteScript.In(command):
		return "promote_sent"
	case !settleScript.In(command):
		return ""
	case bytes.Contains(command, []byte("\r\nretry\r\n$1\r\n")):
		return "retry_sent"
	default:
		return "ack_sent"
	}
}
