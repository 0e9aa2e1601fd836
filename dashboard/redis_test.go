package dashboard_test

import (
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestRedisPage(t *testing.T) {
	f := newFixture(t)
	t.Run("shows what doctor finds, and what the server says of itself", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/redis", "Redis", "Redis")
		f.has(f.get("/redis", 200), "warning", "it only makes snapshots", "CONFIG SET appendonly yes",
			"Memory in use", "MiB", "noeviction", "client|id", "0 keys evicted")
	})
	t.Run("says which rights are missing", func(t *testing.T) {
		f.sub(t).has(f.get("/redis", 200), "SLOWLOG GET: NOPERM", "LATENCY LATEST: NOPERM")
	})
	t.Run("is JSON", func(t *testing.T) {
		f := f.sub(t)
		var x struct {
			Version  string
			Memory   struct{ Used int64 }
			Findings []struct{ Level, About string }
		}
		f.api("/redis", &x)
		if x.Version == "" || x.Memory.Used == 0 || x.Findings[0].Level != "warning" {
			t.Errorf("%+v", x)
		}
	})
	t.Run("shows slow calls to a user with more rights, without payloads", func(t *testing.T) {
		f := f.sub(t)
		f.raw.ConfigSet(t.Context(), "slowlog-log-slower-than", "0")
		f.enqueue("slow", 1)
		f.raw.ConfigSet(t.Context(), "slowlog-log-slower-than", "-1")
		f.store = f.server.Store(func(c *queue.Config) { c.URL = "redis://" + f.server.Addr })
		f.in = inspect.New(f.store)
		f.d = f.open()
		page := f.get("/redis", 200)
		f.has(page, "queue:slow", "bytes)", "Redis does not watch it")
		f.lacks(page, "arg-slow0", "NOPERM")
	})
	t.Run("compares the Redis of the cache", func(t *testing.T) {
		f := f.sub(t)
		other := redistest.Start(t)
		for url, want := range map[string]string{f.server.URL: "cache and queues share one server",
			other.URL: "the cache's Redis has no limit of memory"} {
			f.d = f.open(func(o *dashboard.Options) { o.Cache = &queue.Config{URL: url} })
			f.has(f.get("/redis", 200), want)
		}
	})
}
