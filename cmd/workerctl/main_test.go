package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// TestMain allows what go-redis does for up to a second after a pool is closed whose server did not
// answer: it dials again.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// terminal runs the program as a person at a terminal does.
type terminal struct {
	*testing.T
	redis *redistest.Server // nil without a Redis
	raw   *redis.Client
	vars  map[string]string
	input string
}

// withoutRedis is a terminal whose REDIS_URL nothing answers.
func withoutRedis(t *testing.T) *terminal {
	return &terminal{T: t, vars: map[string]string{"REDIS_URL": "redis://127.0.0.1:1"}}
}

// withRedis is a terminal beside an empty Redis.
func withRedis(t *testing.T) *terminal {
	server := redistest.Start(t)
	return &terminal{T: t, redis: server, raw: server.Client(),
		vars: map[string]string{"REDIS_URL": server.URL}}
}

// run runs the program with words, and gives its two outputs and its exit code.
func (s *terminal) run(args ...string) (out, errs string, code int) {
	s.Helper()
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(s.input), &stdout, &stderr,
		func(key string) string { return s.vars[key] })
	return stdout.String(), stderr.String(), code
}

// environment reads the variables of the terminal.
func (s *terminal) environment() *env.Reader {
	return &env.Reader{Lookup: func(k string) (string, bool) { v, ok := s.vars[k]; return v, ok }}
}

// ok runs a command line that must succeed and print want.
func (s *terminal) ok(want, line string) string {
	s.Helper()
	out, errs, code := s.run(strings.Fields(line)...)
	if code != 0 || errs != "" || !strings.Contains(out, want) {
		s.Errorf("workerctl %s: exit code %d, want %q in\n%s%s", line, code, want, out, errs)
	}
	return out
}

// fails runs a command line that must end with a code and say want.
func (s *terminal) fails(code int, want, line string) {
	s.Helper()
	out, errs, got := s.run(strings.Fields(line)...)
	if got != code || !strings.Contains(errs, want) {
		s.Errorf("workerctl %s: exit code %d, want %d and %q in\n%s%s", line, got, code, want,
			out, errs)
	}
}

// exits runs a command line that must print want and end with a code.
func (s *terminal) exits(code int, want, line string) {
	s.Helper()
	out, errs, got := s.run(strings.Fields(line)...)
	if got != code || errs != "" || !strings.Contains(out, want) {
		s.Errorf("workerctl %s: exit code %d, want %d and %q in\n%s%s", line, got, code, want,
			out, errs)
	}
}

// unix is a time in seconds since 1970.
func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// store puts a job into a sorted set, due in an hour.
func (s *terminal) store(set, class, jid string) {
	s.Helper()
	due := float64(time.Now().Add(time.Hour).Unix())
	payload := fmt.Sprintf(`{"class":%q,"jid":%q,"queue":"default","args":[1],"retry":true,`+
		`"created_at":1,"retry_count":2,"error_class":"E","error_message":"boom"}`, class, jid)
	if err := s.raw.ZAdd(s.Context(), set, redis.Z{Score: due, Member: payload}).Err(); err != nil {
		s.Fatal(err)
	}
}

// size is the number of entries of a set or a list.
func (s *terminal) size(key string) int64 {
	s.Helper()
	if n, err := s.raw.ZCard(s.Context(), key).Result(); err == nil {
		return n
	}
	return s.raw.LLen(s.Context(), key).Val()
}

func TestRun(t *testing.T) {
	s := withoutRedis(t)
	t.Run("finds the command behind its flags", func(t *testing.T) {
		s := s.of(t)
		s.ok(`"left"`, "--json plan")
	})
	t.Run("finds the command behind a flag with its value", func(t *testing.T) {
		s.of(t).fails(1, "is it running", "--days 2 stats")
	})
	t.Run("lists the commands if the name is wrong", func(t *testing.T) {
		s.of(t).fails(2, `there is no command "frobnicate": there are push stats stuck`,
			"frobnicate")
	})
	t.Run("says that Redis does not answer", func(t *testing.T) {
		s.of(t).fails(1, "is it running", "stats")
	})
	t.Run("names a wrong variable", func(t *testing.T) {
		s := &terminal{T: t, vars: map[string]string{"REDIS_URL": "what://"}}
		s.fails(2, "the Redis URL what: is not understood", "stats")
	})
}

// of is the same terminal in a subtest.
func (s *terminal) of(t *testing.T) *terminal {
	c := *s
	c.T = t
	return &c
}
