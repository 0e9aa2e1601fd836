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

// Script is a Lua script: one atomic change or reading.
type Script struct {
	full  body
	plain body // without the #! line, for servers that refuse it
}

type body struct{ text, sha string }

// MustScript reads a script from embedded files. It panics if the file does not exist.
func MustScript(files fs.ReadFileFS, path string) *Script {
	text, err := files.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return NewScript(string(text))
}

// NewScript returns the script of a text whose first line begins with #!lua.
func NewScript(text string) *Script {
	_, plain, _ := strings.Cut(text, "\n")
	return &Script{full: newBody(text), plain: newBody(plain)}
}

func newBody(text string) body {
	sum := sha1.Sum([]byte(text)) // Redis names scripts by SHA-1
	return body{text, hex.EncodeToString(sum[:])}
}

// Text is the text of the script.
func (sc *Script) Text() string { return sc.full.text }

// SHA is the name of the script in Redis.
func (sc *Script) SHA() string { return sc.full.sha }

// In reports whether a command, as the bytes that are sent, calls the script by its name.
func (sc *Script) In(command []byte) bool { return bytes.Contains(command, []byte(sc.full.sha)) }

// body is the form of sc that this server accepts.
func (db *DB) body(sc *Script) *body {
	if db.plainLua {
		return &sc.plain
	}
	return &sc.full
}

// Run runs a script once, on the shared connections. If the server does not know the script, and so
// has not run it, the script is sent again with its text.
func (db *DB) Run(ctx context.Context, sc *Script, keys []string, args ...any) *redis.Cmd {
	return db.RunOn(ctx, db.Shared, sc, keys, args...)
}

// RunOwn is Run on the runtime's own connections.
func (db *DB) RunOwn(ctx context.Context, sc *Script, keys []string, args ...any) *redis.Cmd {
	return db.RunOn(ctx, db.Own, sc, keys, args...)
}

// RunOn is Run on the connections of c.
func (db *DB) RunOn(ctx context.Context, c redis.Scripter, sc *Script, keys []string,
	args ...any) *redis.Cmd {
	body := db.body(sc)
	cmd := c.EvalSha(ctx, body.sha, keys, args...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = c.Eval(ctx, body.text, keys, args...)
	}
	return cmd
}

// Queue adds a call of a script to a pipeline. The server must know the script: see DB.Load.
func (db *DB) Queue(ctx context.Context, pipe redis.Pipeliner, sc *Script, keys []string,
	args ...any) *redis.Cmd {
	return pipe.EvalSha(ctx, db.body(sc).sha, keys, args...)
}

// Load sends scripts to the server, so that calls need not carry their text. The error wraps
// ErrScript if one does not compile.
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

// probeLua finds out whether the server accepts script flags, by means of a script that compiles.
func (db *DB) probeLua(ctx context.Context, sc *Script) error {
	err := db.Shared.ScriptLoad(ctx, sc.full.text).Err()
	db.plainLua = Answered(err) // Redis before 7.0 and its stand-ins know no flags
	if db.plainLua {
		return nil
	}
	return err
}
