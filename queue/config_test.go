package queue_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// lookup returns an environment.
func lookup(vars map[string]string) func(string) (string, bool) {
	return func(key string) (string, bool) { v, ok := vars[key]; return v, ok }
}

func TestSentinels(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want string // sentinels, master, user and password
	}{
		"are read with their default port": {map[string]string{"REDIS_SENTINELS": "a, b:1,[::1]",
			"REDIS_SENTINEL_MASTER": "m", "REDIS_PASSWORD": "p"}, "a:26379 b:1 [::1]:26379 m  p"},
		"are read with a port and a user of their own": {map[string]string{
			"REDIS_SENTINELS": "a", "REDIS_SENTINEL_PORT": "5", "REDIS_SENTINEL_MASTER": "m",
			"REDIS_SENTINEL_USERNAME": "u", "REDIS_SENTINEL_PASSWORD": "q",
			"REDIS_PASSWORD": "p"}, "a:5 m u q"},
		"are not used with a URL": {map[string]string{"REDIS_URL": "redis://x",
			"REDIS_SENTINELS": "a", "REDIS_SENTINEL_MASTER": "m"}, "  "},
		"are read with Sidekiq's prefix": {map[string]string{"SIDEKIQ_REDIS_SENTINELS": "s",
			"SIDEKIQ_REDIS_SENTINEL_MASTER": "m"}, "s:26379 m  "},
	} {
		t.Run(name, func(t *testing.T) {
			r := &env.Reader{Lookup: lookup(c.vars)}
			got := queue.ConfigFromEnv(r)
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			same(t, "the configuration", strings.Join(append(got.Sentinels, got.SentinelMaster,
				got.SentinelUsername, got.SentinelPassword), " "), c.want)
		})
	}
}

func TestConfigProblems(t *testing.T) {
	for want, vars := range map[string]map[string]string{
		"set both":                     {"REDIS_SENTINELS": "a"},
		"want rediss://":               {"REDIS_URL": "redis://x", "REDIS_TLS_CA": "x"},
		"no PEM certificate":           {"REDIS_URL": "rediss://x", "REDIS_TLS_CA": "x"},
		"REDIS_TLS_CERT and REDIS_TLS": {"REDIS_URL": "rediss://x", "REDIS_TLS_CERT": "x"},
	} {
		t.Run("say: "+want, func(t *testing.T) {
			r := &env.Reader{Lookup: lookup(vars)}
			queue.ConfigFromEnv(r)
			if !says(r.Err(), want) {
				t.Errorf("%v", r.Err())
			}
		})
	}
}

// FuzzRedisURL checks that a password in the variables is never printed.
func FuzzRedisURL(f *testing.F) {
	f.Add("redis", "@localhost:6379/0", "a:1,b", "m")
	f.Add("rediss", "@[::1]:1/99?skip_verify=true", "", "")
	f.Add("unix", "@/tmp/x.sock?db=3", "[::1]:x", "m")
	f.Fuzz(func(t *testing.T, scheme, rest, sentinels, master string) {
		const canary = "canary-d0n7-pr1n7"
		url := scheme + "://user:" + canary + rest
		for _, vars := range []map[string]string{{"REDIS_URL": url},
			{"REDIS_HOST": rest, "REDIS_PORT": scheme, "REDIS_PASSWORD": canary},
			{"REDIS_SENTINELS": sentinels, "REDIS_SENTINEL_MASTER": master,
				"REDIS_SENTINEL_PASSWORD": canary}} {
			r := &env.Reader{Lookup: lookup(vars)}
			c := queue.ConfigFromEnv(r)
			for _, s := range r.Settings {
				if strings.Contains(s.Value, canary) {
					t.Errorf("%s shows the password: %q", s.Name, s.Value)
				}
			}
			if err := r.Err(); err != nil {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("the problem shows the password: %v", err)
				}
				continue
			}
			if _, err := c.RedisOptions(); err != nil {
				t.Errorf("accepted, but refused later: %v", err)
			}
		}
	})
}

func TestFromEnvironment(t *testing.T) {
	for _, name := range []string{"SIDEKIQ_REDIS_URL", "REDIS_PROVIDER", "REDIS_HOST"} {
		t.Setenv(name, "")
	}
	t.Run("reads Mastodon's variables", func(t *testing.T) {
		t.Setenv("REDIS_URL", "redis://redis.example:6380/3")
		c, err := queue.FromEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the URL", c.URL, "redis://redis.example:6380/3")
	})
	t.Run("returns all problems", func(t *testing.T) {
		t.Setenv("REDIS_URL", "http://x")
		t.Setenv("REDIS_NAMESPACE", "a b")
		if _, err := queue.FromEnvironment(); !says(err, "http://x", "REDIS_NAMESPACE") {
			t.Error(err)
		}
	})
}

// counting is a hook that counts commands.
type counting struct{ commands atomic.Int64 }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestConfigOptions(t *testing.T) {
	var dialed atomic.Int64
	hook := &counting{}
	s := redistest.Start(t).Store(func(c *queue.Config) {
		c.Hooks = []redis.Hook{hook}
		c.Options = func(o *redis.Options) {
			o.DialTimeout = time.Minute
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		}
	})
	before := hook.commands.Load()
	if _, err := queue.Push(t.Context(), queue.NewClient(s), welcome{}); err != nil {
		t.Fatal(err)
	}
	t.Run("set the dialer", func(t *testing.T) {
		if dialed.Load() == 0 {
			t.Error("no connection was dialed by it")
		}
	})
	t.Run("leave the hooks in place", func(t *testing.T) {
		if hook.commands.Load() == before {
			t.Error("no command was seen by the hook")
		}
	})
}
