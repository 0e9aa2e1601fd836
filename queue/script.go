package queue

import (
	"bytes"
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// script is one state change. Its header in lua/ says what it does.
type script struct {
	full, plain luaBody // plain: without the #! line, for servers that refuse it
}

type luaBody struct{ text, sha string }

var (
	answerScript   = mustScript("answer")
	fetchScript    = mustScript("fetch")
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

	allScripts = []*script{answerScript, fetchScript, settleScript, pushScript, promoteScript,
		registerScript, beatScript, fenceScript, reclaimScript, forgetScript, sweepScript,
		aloneScript, besideScript, publishScript, pageScript, oldestScript}
)

func mustScript(name string) *script {
	b, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is embedded
	}
	text := string(b)
	_, plain, _ := strings.Cut(text, "\n")
	return &script{full: newLuaBody(text), plain: newLuaBody(plain)}
}

func newLuaBody(text string) luaBody {
	sum := sha1.Sum([]byte(text)) // Redis names scripts by SHA-1
	return luaBody{text, hex.EncodeToString(sum[:])}
}

// body is the form of sc that this server takes.
func (s *Store) body(sc *script) *luaBody {
	if s.plainLua {
		return &sc.plain
	}
	return &sc.full
}

// run executes a script once. A server that does not know it has not run it,
// so then, and only then, it is sent again in full.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) *redis.Cmd {
	return s.runOn(ctx, s.rdb, sc, keys, args...)
}

// runOwn executes a script once on the runtime's own connections.
func (s *Store) runOwn(ctx context.Context, sc *script, keys []string, args ...any) *redis.Cmd {
	return s.runOn(ctx, s.own, sc, keys, args...)
}

func (s *Store) runOn(ctx context.Context, c redis.Scripter, sc *script, keys []string,
	args ...any) *redis.Cmd {
	body := s.body(sc)
	cmd := c.EvalSha(ctx, body.sha, keys, args...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = c.Eval(ctx, body.text, keys, args...)
	}
	return cmd
}

// sent names the failpoint of a command that has just been written, or "".
func sent(command []byte) string {
	switch {
	case bytes.Contains(command, []byte(promoteScript.full.sha)):
		return "promote_sent"
	case !bytes.Contains(command, []byte(settleScript.full.sha)):
		return ""
	case bytes.Contains(command, []byte("\r\nretry\r\n$1\r\n")):
		return "retry_sent"
	default:
		return "ack_sent"
	}
}

// loadScripts finds out which form of Lua the server takes, and loads all
// scripts, so that the first jobs need not carry them.
func (s *Store) loadScripts(ctx context.Context) error {
	err := s.rdb.ScriptLoad(ctx, fetchScript.full.text).Err()
	if err != nil && isReply(err) {
		s.plainLua = true // Redis before 7.0 and its stand-ins know no flags
	}
	pipe := s.rdb.Pipeline()
	for _, sc := range allScripts {
		pipe.ScriptLoad(ctx, s.body(sc).text)
	}
	if _, err = pipe.Exec(ctx); err != nil {
		return err
	}
	return s.effects.load(ctx, s)
}
