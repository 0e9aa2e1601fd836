package redisdb

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script: one state change, or one reading, that Redis runs atomically.
type Script struct {
	full, plain body // plain: without the #! line, for servers that refuse it
}

type body struct{ text, sha string }

// MustScript reads a script from embedded files. It panics if there is no such file.
func MustScript(files fs.ReadFileFS, path string) *Script {
	text, err := files.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return NewScript(string(text))
}

// NewScript makes a script of its text, the first line of which begins with #!lua.
func NewScript(text string) *Script {
	_, plain, _ := strings.Cut(text, "\n")
	return &Script{full: newBody(text), plain: newBody(plain)}
}

func newBody(text string) body {
	sum := sha1.Sum([]byte(text)) // Redis names scripts by SHA-1
	return body{text, hex.EncodeToString(sum[:])}
}

// Text is the script as it was given.
func (sc *Script) Text() string { return sc.full.text }

// SHA is the name by which Redis calls the script.
func (sc *Script) SHA() string { return sc.full.sha }

// In reports whether a command as it goes over the wire calls the script by its name.
func (sc *Script) In(command []byte) bool { return bytes.Contains(command, []byte(sc.full.sha)) }

// body is the form of sc that this server takes.
func (db *DB) body(sc *Script) *body {
	if db.plainLua {
		return &sc.plain
	}
	return &sc.full
}

// Run executes a script on the shared connections, once. A server that does not know the script
// has not run it: then, and only then, the script is sent again in full.
func (db *DB) Run(ctx context.Context, sc *Script, keys []string, args ...any) *redis.Cmd {
	return db.RunOn(ctx, db.Shared, sc, keys, args...)
}

// RunOwn is Run on the runtime's own connections.
func (db *DB) RunOwn(ctx context.Context, sc *Script, keys []string, args ...any) *redis.Cmd {
	return db.RunOn(ctx, db.Own, sc, keys, args...)
}

// RunOn is Run on connections of the caller's choice.
func (db *DB) RunOn(ctx context.Context, c redis.Scripter, sc *Script, keys []string,
	args ...any) *redis.Cmd {
	body := db.body(sc)
	cmd := c.EvalSha(ctx, body.sha, keys, args...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = c.Eval(ctx, body.text, keys, args...)
	}
	return cmd
}

// Queue adds a call of a script to a pipeline. The server must have it: see DB.Load.
func (db *DB) Queue(ctx context.Context, pipe redis.Pipeliner, sc *Script, keys []string,
	args ...any) *redis.Cmd {
	return pipe.EvalSha(ctx, db.body(sc).sha, keys, args...)
}

// Load gives the server scripts, so that the first calls need not carry them. An ErrScript says
// that one does not compile.
func (db *DB) Load(ctx context.Context, scripts ...*Script) error {
	pipe := db.Shared.Pipeline()
	for _, sc := range scripts {
		pipe.ScriptLoad(ctx, db.body(sc).text)
	}
	_, err := pipe.Exec(ctx)
	if Answered(err) {
		return fmt.Errorf("%w: %w", ErrScript, err)
	}
	return err
}

// learnLua finds out which form of Lua the server takes, by a script that must be right.
func (db *DB) learnLua(ctx context.Context, sc *Script) error {
	err := db.Shared.ScriptLoad(ctx, sc.full.text).Err()
	db.plainLua = Answered(err) // Redis before 7.0 and its stand-ins know no flags
	if db.plainLua {
		return nil
	}
	return err
}
