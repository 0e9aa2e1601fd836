package dashboard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// breaks notes a host whose breaker is open.
func breaks(t *testing.T, raw *redis.Client, host string) {
	t.Helper()
	raw.ZAdd(t.Context(), "kyu:breakers", redis.Z{Member: host,
		Score: float64(time.Now().Add(time.Hour).UnixMilli())})
	if err := raw.HSet(t.Context(), "kyu:breaker:"+host, "failures", 17, "until",
		time.Now().Add(time.Minute).UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestHostsPage(t *testing.T) {
	f := newFixture(t)
	f.has(f.get("/hosts", 200), "No host was found")
	breaks(t, f.raw, "open.example")
	f.failed("retry", "p1", "Push", "Timeout", "https://retried.example/inbox")
	f.process("web1:1:abc", fields{"hostname": "web1", "concurrency": 25, "queues": []string{"a"}},
		payload("run0", "Push", "a", time.Now(), fields{"args": []any{"https://busy.example/x"}}))
	t.Run("shows breakers, and links to the jobs of hosts", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/hosts", "Hosts", "配送先")
		page := f.get("/hosts", 200)
		f.has(page, "1 hosts have failed", "open.example", "nothing is sent", "17",
			"/retries?filter=host%3Aretried.example", "/busy?filter=host%3Abusy.example",
			"Timeout: because")
		f.has(f.get("/busy?filter=host%3Abusy.example", 200), "run0")
	})
	t.Run("finds a host", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/hosts?text=Retried", 200)
		f.has(page, "retried.example")
		f.lacks(page, "busy.example")
	})
	t.Run("is JSON, the open breakers first", func(t *testing.T) {
		f := f.sub(t)
		var x struct {
			Hosts []struct {
				Host    string
				Breaker *struct{ State string }
				Busy    int
			}
		}
		f.api("/hosts", &x)
		if len(x.Hosts) != 3 || x.Hosts[0].Breaker.State != "open" || x.Hosts[1].Busy != 1 {
			t.Errorf("%+v", x)
		}
	})
	t.Run("lists 100 hosts", func(t *testing.T) {
		f := f.sub(t)
		for i := range 120 {
			breaks(t, f.raw, fmt.Sprintf("h%d.example", i))
		}
		f.has(f.get("/hosts", 200), "23 more are not shown")
	})
	t.Run("reads breakers in the Redis of the jobs, which may be away", func(t *testing.T) {
		f := f.sub(t)
		other := redistest.Start(t)
		breaks(t, other.Client(), "elsewhere.example")
		f.d = f.open(func(o *dashboard.Options) { o.Jobs = other.Client() })
		page := f.get("/hosts", 200)
		f.has(page, "elsewhere.example")
		f.lacks(page, "open.example")
		other.Kill()
		f.has(f.get("/hosts", 200), "The breakers cannot be read", "retried.example")
	})
}
