package queue

import (
	"bytes"
	"embed"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts. The header of each file in lua/ says what the script does and why it is atomic.
var (
	answerScript   = mustScript("answer")
	askScript      = mustScript("ask")
	fetchScript    = mustScript("fetch")
	turnsScript    = withTurns(fetchScript)
	settleScript   = mustScript("settle")
	pushScript     = mustScript("push")
	promoteScript  = mustScript("promote")
	registerScript = mustScript("register")
	beatScript     = mustScript("beat")
	fenceScript    = mustScript("fence")
	reclaimScript  = mustScript("reclaim")
	forgetScript   = mustScript("forget")
	sweepScript    = mustScript("sweep")
	aloneScript    = mustScript("alone")
	besideScript   = mustScript("beside")
	publishScript  = mustScript("publish")
	operateScript  = operationScript("operate")
	enterScript    = operationScript("enter")
	siftScript     = operationScript("sift")
	tailScript     = operationScript("tail")
	shiftScript    = operationScript("shift")
	unsiftScript   = mustScript("unsift")
	restoreScript  = mustScript("restore")
	ticketScript   = mustScript("ticket")
	oldestScript   = mustScript("oldest")

	shardStateScript = mustScript("shardstate")
	liftScript       = mustScript("movelift")
	landScript       = mustScript("moveland")
	moveDropScript   = mustScript("movedrop")
	carryScript      = mustScript("movecarry")

	historyScript      = mustScript("history")
	historyAgeScript   = mustScript("historyage")
	historyClassScript = mustScript("historyclass")

	allScripts = []*redisdb.Script{answerScript, askScript, fetchScript, turnsScript, settleScript,
		pushScript, promoteScript, registerScript, beatScript, fenceScript, reclaimScript,
		forgetScript, sweepScript, aloneScript, besideScript, publishScript, pageScript,
		operateScript, enterScript, siftScript, shiftScript, unsiftScript, restoreScript,
		ticketScript, tailScript, oldestScript, historyScript, historyAgeScript,
		historyClassScript, shardStateScript, liftScript, landScript, moveDropScript,
		carryScript}
)

//go:embed lua/parts/turns.lua
var turnsLua string

// withTurns returns the script fetch with turns. Without turns fetch itself is used, so that a
// worker without floors runs what its proofs are about.
func withTurns(fetch *redisdb.Script) *redisdb.Script {
	const mark = "if at > #ARGV then\n"
	head, _, found := strings.Cut(fetch.Text(), mark)
	if !found {
		panic("the script fetch must have the line " + mark)
	}
	return redisdb.NewScript(head + turnsLua)
}

//go:embed lua/parts/operation.lua
var operationLua string

// operationScript returns a script with the part that lets an operation change something.
func operationScript(name string) *redisdb.Script {
	text := mustScript(name).Text()
	const mark = "-- (operation)\n"
	if strings.Count(text, mark) != 1 {
		panic("the script " + name + " must have one line " + mark)
	}
	return redisdb.NewScript(strings.Replace(text, mark, operationLua, 1))
}

func mustScript(name string) *redisdb.Script {
	return redisdb.MustScript(luaFiles, "lua/"+name+".lua")
}

// sent returns the name of the failpoint behind a command that has just been written, or "".
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
