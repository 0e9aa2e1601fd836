package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// newShards is a dashboard of several shards. in has a fixture for the data of each.
func newShards(t *testing.T, change ...func(*dashboard.Options)) (f *fixture,
	in map[string]*fixture) {
	t.Helper()
	in = map[string]*fixture{}
	var configs []queue.ShardConfig
	for _, name := range []string{"a", "b"} {
		server := redistest.Start(t)
		in[name] = &fixture{T: t, server: server, raw: server.Client(), store: server.Store()}
		in[name].in = inspect.New(in[name].store)
		configs = append(configs, queue.ShardConfig{Name: name,
			Config: queue.Config{URL: server.URL}})
	}
	shards, err := queue.NewShards(configs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shards.Close() })
	fleet := inspect.NewFleet(shards)
	if err := fleet.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	f = &fixture{T: t, role: "admin", lang: "en"}
	f.d = f.open(append([]func(*dashboard.Options){func(o *dashboard.Options) { o.Fleet = fleet }},
		change...)...)
	return f, in
}

// workerOf writes the record of a worker of Kyu.
func (f *fixture) workerOf(identity string) {
	f.Helper()
	f.process(identity, fields{"hostname": "h", "pid": 7, "started_at": 1.5, "concurrency": 4,
		"queues": []string{"a"}}, payload("w-"+identity, "Job", "a", time.Now(), nil))
	f.must(f.raw.HSet(f.Context(), identity, "turned", time.Now().Unix()).Err())
}

func TestShardsPages(t *testing.T) {
	f, in := newShards(t)
	in["a"].enqueue("a", 3)
	in["b"].enqueue("a", 2)
	in["a"].put("retry", "ra", 2, later)
	in["b"].put("retry", "rb", 1, later)
	in["a"].workerOf("h:7:x")
	in["b"].workerOf("h:7:y")
	t.Run("the overview has sums, and each shard", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/", 200), "Shard a", "Shard b", in["b"].server.Addr)
		var data struct {
			Stats  inspect.Stats
			Shards struct{ Shards []inspect.ShardStatus }
		}
		f.must(json.Unmarshal([]byte(f.get("/api/v1/overview", 200)), &data))
		same(f, "Enqueued", data.Stats.Enqueued, 5)
		same(f, "Processes", data.Stats.Processes, 1)
		same(f, "shards", len(data.Shards.Shards), 2)
	})
	t.Run("pages have the rows of all shards, and lead to the shards", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/queues", 200), "a 3", "b 2", "/shards/b/queues/a")
		f.has(f.get("/queues/a", 200), "/shards/a/queues/a", "Pause in all shards")
		f.has(f.get("/processes", 200), "h:7:x", "/shards/b/processes/h:7:y")
		f.has(f.get("/processes/h:7:y", 200), "h:7:x", "w-h:7:y")
		f.has(f.get("/busy", 200), "w-h:7:x", "w-h:7:y", "/shards/b/jobs/w-h:7:y")
		f.has(f.get("/retries", 200), "ra1", "rb0", "1 to 3 of 3")
		f.has(f.get("/retries?filter=jid:rb*", 200), "rb0", "1 to 1 of 1")
		f.has(f.get("/shards", 200), "active", in["a"].server.Addr)
		f.has(f.get("/stats/queues", 200), "5")
	})
	t.Run("?shard leads to the pages of the shard, and gives its data", func(t *testing.T) {
		f := f.sub(t)
		answer := f.send("GET", "/retries?filter=x&shard=b", nil)
		same(f, "Location", answer.Header.Get("Location"), "/shards/b/retries?filter=x")
		f.lacks(f.get("/api/v1/retries?shard=b", 200), "ra1")
		f.has(f.get("/queues?shard=zz", 404), "There is no shard zz. There are a, b.")
	})
	t.Run("a page of one shard has its rows only", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/shards/b/retries", 200)
		f.has(page, "rb0", "/shards/a/retries", "All shards")
		f.lacks(page, "ra1")
	})
	t.Run("a page that only shards have lets a person choose", func(t *testing.T) {
		f := f.sub(t)
		for _, page := range []string{"/locks", "/cron", "/redis", "/errors", "/hosts", "/metrics",
			"/audit", "/held", "/classes", "/lanes", "/operations"} {
			f.has(f.get(page, 200), "/shards/a"+page, "/shards/b"+page)
			f.get("/shards/b"+page, 200)
		}
		var data map[string]any
		f.must(json.Unmarshal([]byte(f.get("/api/v1/classes", 200)), &data))
		same(f, "shards", len(data), 2)
	})
	t.Run("a job is found in its shard", func(t *testing.T) {
		f := f.sub(t)
		answer := f.send("GET", "/jobs/rb0", nil)
		same(f, "Location", answer.Header.Get("Location"), "/shards/b/jobs/rb0")
		f.get("/jobs/none", 404)
	})
	t.Run("every route of each shard wants its role", func(t *testing.T) {
		for _, r := range f.d.Routes() {
			f := f.sub(t)
			f.role = (r.Role - 1).String()
			answer := f.send(r.Method, example(r.Pattern), nil)
			same(t, r.Method+" "+r.Pattern, answer.StatusCode, http.StatusForbidden)
		}
	})
	t.Run("texts are Japanese", func(t *testing.T) {
		f := f.sub(t)
		f.lang = "ja"
		f.has(f.get("/shards", 200), "シャード", "稼働中")
	})
	t.Run("hostile names stay text", func(t *testing.T) {
		f := f.sub(t)
		evil := `<script>alert(1)</script>`
		in["b"].enqueue(evil, 1)
		in["b"].must(in["b"].raw.ZAdd(t.Context(), "retry", z(later, payload(evil, evil, evil,
			time.Now(), nil))).Err())
		for _, page := range []string{"/", "/queues", "/retries"} {
			f.lacks(f.get(page, 200), evil)
		}
	})
}

func TestShardsActs(t *testing.T) {
	f, in := newShards(t)
	in["a"].put("retry", "ra", 2, later)
	in["b"].put("retry", "rb", 2, later)
	in["a"].enqueue("a", 1)
	in["b"].enqueue("a", 1)
	in["a"].workerOf("h:7:x")
	in["b"].workerOf("h:7:y")
	t.Run("ticked jobs of several shards are changed, each in its shard", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post("/retries/selected", url.Values{"verb": {"kill"},
			"jid": {"a:ra0", "b:rb1"}})
		same(f, "to", to, "/retries")
		f.has(page, "a: ", "b: ")
		for name := range in {
			in[name].sub(t).size("dead", 1)
		}
		in["b"].sub(t).audited("dashboard retries kill", "rb1")
	})
	t.Run("a queue is paused in all shards", func(t *testing.T) {
		f := f.sub(t)
		f.post("/queues/a/pause", url.Values{})
		for name := range in {
			same(f, "paused in "+name, in[name].raw.SIsMember(t.Context(), "paused", "a").Val(),
				true)
			in[name].sub(t).audited("dashboard queue pause", "paused a")
		}
	})
	t.Run("a process is told in all its shards", func(t *testing.T) {
		f := f.sub(t)
		f.post("/processes/h:7:x/quiet", url.Values{})
		same(f, "signals in b", in["b"].raw.LLen(t.Context(), "h:7:y-signals").Val(), 1)
	})
	t.Run("an act on a page of a shard changes that shard", func(t *testing.T) {
		f := f.sub(t)
		to, _ := f.post("/shards/b/queues/a/unpause", url.Values{})
		same(f, "to", to, "/shards/b/queues/a")
		same(f, "paused in a", in["a"].raw.SIsMember(t.Context(), "paused", "a").Val(), true)
		same(f, "paused in b", in["b"].raw.SIsMember(t.Context(), "paused", "a").Val(), false)
	})
	t.Run("a shard that is away is said, and the others go on", func(t *testing.T) {
		f := f.sub(t)
		in["b"].server.Kill()
		began := time.Now()
		for _, page := range []string{"/", "/queues", "/retries", "/processes", "/busy",
			"/shards"} {
			f.has(f.get(page, 200), "away")
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the pages took %v", took)
		}
		f.has(f.get("/retries", 200), "Shard b is away", "ra1")
		f.has(f.get("/shards/b/retries", 503), "shard b: away")
		f.get("/shards/a/retries", 200)
		_, page := f.post("/queues/a/pause", url.Values{})
		f.has(page, "Shard b is away")
	})
}

func TestShardsReadOnly(t *testing.T) {
	f, _ := newShards(t, readOnly, withBase)
	for _, r := range f.d.Routes() {
		same(t, fmt.Sprint(r), r.Method, "GET")
		if !strings.HasPrefix(r.Pattern, "/") || r.Role < access.Viewer {
			t.Error(r)
		}
	}
	f.has(f.get("/kyu/web/queues", 200), "/kyu/web/shards/b/queues")
}
