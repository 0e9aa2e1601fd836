package dashboard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// newLaned is a fixture whose Store keeps lanes. The lane x/y of the queue a is full, and n of its
// jobs are parked.
func newLaned(t *testing.T, n int, change ...func(*dashboard.Options)) *fixture {
	t.Helper()
	f := newFixture(t)
	f.store = f.server.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{lanes.Capability()}
	})
	f.in = inspect.New(f.store)
	f.d = f.open(change...)
	rule, err := lanes.ParseRule("key=args.0,max=1")
	f.must(err)
	f.must(lanes.Control{Store: f.store}.Set(f.Context(), "a", rule))
	const key = "kyu:{queue:a}:lanes"
	for i := range n {
		f.raw.LPush(f.Context(), key+":lane:x/y", fmt.Sprintf(
			`{"class":"Job","args":["x/y"],"jid":"parked%d","queue":"a"}`, i))
	}
	f.raw.HSet(f.Context(), key, "parked", n, "running", 1)
	f.raw.HSet(f.Context(), key+":busy", "x/y", 1)
	f.must(f.raw.ZAdd(f.Context(), key+":full", z(time.Unix(0, 0), "x/y")).Err())
	return f
}

func TestQueueLanesPage(t *testing.T) {
	t.Run("lists queues with lanes, and their lanes", func(t *testing.T) {
		f := newLaned(t, 3)
		f.translated("/lanes", "Lanes", "レーン")
		f.translated("/lanes/a", "Lanes of a", "a のレーン")
		f.has(f.get("/lanes", 200), "/lanes/a", "key=args.0,max=1")
		f.has(f.get("/lanes/a", 200), "x/y", "full", "a person")
		f.has(f.get("/lanes/none", 404), "The queue none has no lanes")
		var p struct {
			Queue lanes.Status
			Lanes []struct{ Parked, Running int64 }
		}
		f.api("/lanes/a", &p)
		same(t, "parked", p.Queue.Parked, int64(3))
		same(t, "lanes", fmt.Sprint(p.Lanes), "[{3 1}]")
	})
	t.Run("shows parked jobs at their queue, and a parked job", func(t *testing.T) {
		f := newLaned(t, 3)
		f.has(f.get("/queues", 200), "/lanes/a")
		f.has(f.get("/queues/a", 200), "3 of these jobs are parked")
		f.has(f.get("/jobs/parked1", 200), "Parked in a lane", "lane x/y", "is full: 1 of its jobs")
	})
	t.Run("closes and opens a lane, and sets and drains", func(t *testing.T) {
		f := newLaned(t, 2)
		_, page := f.post("/lanes/a/close", form("lane", "x/y", "for", "10m"))
		f.has(page, "The lane x/y is closed for", "closed", "/lanes/a/open")
		f.audited("dashboard lanes close", "closed the lane x/y of a for 10m0s")
		_, page = f.post("/lanes/a/open", form("lane", "x/y"))
		f.has(page, "The lane x/y is open")
		_, page = f.post("/lanes/a/set", form("rule", "key=args.0,max=2"))
		f.has(page, "The rule of a is set", "key=args.0,max=2")
		f.audited("dashboard lanes set", "key=args.0,max=2")
		_, page = f.post("/lanes/a/drain", form())
		f.has(page, "The lanes of a are off: 2 jobs went back into the queue")
		f.audited("dashboard lanes drain", "put 2 jobs back")
	})
	t.Run("refuses what it cannot do", func(t *testing.T) {
		f := newLaned(t, 1)
		for path, status := range map[string]int{"/lanes/a/set": 400, "/lanes/a/close": 400,
			"/lanes/none/set": 404, "/lanes/none/drain": 404, "/lanes/none/open": 404} {
			same(t, path, f.send("POST", path, form("rule", "max=many", "for", "0")).StatusCode,
				status)
		}
		f.must(f.raw.SAdd(f.Context(), "processes", "ruby:7:a").Err())
		f.must(f.raw.HSet(f.Context(), "ruby:7:a", "info", `{"hostname":"ruby","queues":["a"]}`,
			"beat", time.Now().Unix()).Err())
		same(t, "beside Ruby", f.send("POST", "/lanes/a/set",
			form("rule", "max=1")).StatusCode, 409)
	})
	t.Run("has no acts for viewers", func(t *testing.T) {
		f := newLaned(t, 1, func(o *dashboard.Options) { o.ReadOnly = true })
		f.lacks(f.get("/lanes/a", 200), "/lanes/a/set", "/lanes/a/close", "/lanes/a/drain")
	})
}
