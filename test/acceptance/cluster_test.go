package acceptance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/rediscluster"
)

// TestCluster runs the programs on a real cluster, with all keys in one slot and without a tag.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := rediscluster.Start(t)
	t.Run("everything works in one slot", func(t *testing.T) { workInOneSlot(t, c) })
	t.Run("a cluster without a tag is refused in plain words", func(t *testing.T) {
		refuseWithoutTag(t, c)
	})
	t.Run("a tag on a server that is no cluster is refused in plain words", refuseTag)
	t.Run("a server without CLIENT UNBLOCK serves", func(t *testing.T) { withoutUnblock(t, c) })
}

// onCluster returns a site in the slot of a tag. Its programs find the queues there, and the Redis
// of the application nowhere.
func onCluster(t *testing.T, c *rediscluster.Cluster, tag string) *harness.Site {
	t.Helper()
	store := c.Store(tag)
	s := harness.Over(t, c.URL(tag), store.DB().Shared, store)
	s.Env = appElsewhere(c.URL(tag))
	return s
}

func appElsewhere(url string) []string {
	return []string{"SIDEKIQ_REDIS_URL=" + url, "REDIS_URL=redis://127.0.0.1:1"}
}

func workInOneSlot(t *testing.T, c *rediscluster.Cluster) {
	s := onCluster(t, c, "one")
	ctx := context.Background()
	ended := func(id string) {
		t.Helper()
		s.Until(30*time.Second, id+" has ended", func() bool {
			_, ends, _ := s.Ledger()
			return ends[id] > 0
		})
	}
	push := func(id string, o queue.Options) {
		t.Helper()
		if o.Queue == "" {
			o.Queue = "default"
		}
		s.Push("Test::Ledger", []any{s.LedgerPath(), id, 1}, o)
	}
	push("waits", queue.Options{})
	start := func() *harness.Process {
		return s.WorkerWith(s.Env, "-c", "3", "-q", "default", "-q", "low", "-t", "2",
			"--lanes", "low,key=args.1,max=1")
	}
	first := start()
	ended("waits")
	push("rings a bell", queue.Options{})
	ended("rings a bell")
	push("is due", queue.Options{At: time.Now().Add(500 * time.Millisecond)})
	push("has a lane", queue.Options{Queue: "low"})
	ended("is due")
	ended("has a lane")

	s.Push("Test::Ledger", []any{s.LedgerPath(), "is reclaimed", 60_000}, queue.Options{})
	s.Until(20*time.Second, "the job runs", func() bool {
		starts, _, _ := s.Ledger()
		return starts["is reclaimed"] == 1
	})
	first.Kill()
	second := start()
	s.Until(40*time.Second, "the job runs again", func() bool {
		starts, _, _ := s.Ledger()
		return starts["is reclaimed"] == 2
	})
	s.OK("default", "queues")
	s.OK("", "push", "A", "--queue", "idle", "--in", "1h")
	s.OK("", "push", "A", "--queue", "idle")
	s.OK("A", "queue", "idle")
	s.OK("idle", "scheduled")
	s.OK("", "scheduled", "delete", "--all", "--yes")
	s.OK("PROCESSED", "stats")
	s.OK("PROCESS", "busy")
	s.OK("low", "lanes")
	s.OK("", "find", "A")
	out, _ := s.Ctl("", "doctor")
	for _, want := range []string{"the tag one is slot", "with 1 replicas", "+config|get",
		"REDIS_WAIT_REPLICAS=1"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
	second.Kill()
	for _, n := range c.Nodes {
		for _, key := range n.Raw.Keys(ctx, "*").Val() {
			if !strings.HasPrefix(key, "{one}:") {
				t.Errorf("%s has the key %s outside the slot", n.Addr, key)
			}
		}
	}
}

func refuseWithoutTag(t *testing.T, c *rediscluster.Cluster) {
	node := c.Nodes[0].Addr
	s := onCluster(t, c, "one")
	const remedy = "redis+cluster://HOST:PORT/?tag=NAME"
	for name, url := range map[string]string{"a database": "redis://" + node + "/1",
		"none": "redis://" + node, "a user of few rights": "redis://kyu:secret@" + node} {
		env := appElsewhere(url)
		w := s.WorkerWith(env)
		if code := w.Exit(20 * time.Second); code == 0 || !w.Says(remedy) ||
			!w.Says("shards plan") || w.Says("Serving") {
			t.Errorf("%s: the worker exits with %d:\n%s", name, code, w.Log())
		}
		s.Env = env
		for _, command := range []string{"queues", "doctor"} {
			if out, code := s.Ctl("", command); code == 0 || !strings.Contains(out, remedy) ||
				strings.Contains(out, "good     redis") {
				t.Errorf("%s: workerctl %s exits with %d:\n%s", name, command, code, out)
			}
		}
	}
	d := s.StartWith(appElsewhere("redis://"+node), harness.Program("dashboard"), "--listen",
		"127.0.0.1:0")
	if code := d.Exit(20 * time.Second); code == 0 || !d.Says(remedy) {
		t.Errorf("the dashboard exits with %d:\n%s", code, d.Log())
	}
	s.OK("KYU_SHARD_C_URL=redis+cluster://", "shards", "plan", "redis://"+node, "--shards", "3")
}

func refuseTag(t *testing.T) {
	s := harness.New(t)
	s.Env = appElsewhere("redis+cluster://kyu:secret@" + s.Server.Addr + "/?tag=a")
	s.Exits(1, "is no Redis Cluster: give a URL such as redis://HOST:PORT/0", "queues")
	w := s.WorkerWith(s.Env)
	if code := w.Exit(20 * time.Second); code == 0 || !w.Says("is no Redis Cluster") {
		t.Errorf("the worker exits with %d:\n%s", code, w.Log())
	}
}

func withoutUnblock(t *testing.T, c *rediscluster.Cluster) {
	for _, n := range c.Nodes {
		err := n.Raw.Do(t.Context(), "ACL", "SETUSER", "kyu", "-client|unblock").Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := onCluster(t, c, "two")
	if !s.Store.DB().NoUnblock {
		t.Error("it is not noticed that CLIENT UNBLOCK is forbidden")
	}
	w := s.WorkerWith(s.Env, "-q", "default")
	s.Until(20*time.Second, "the worker serves", func() bool { return w.Says("Serving") })
	began := time.Now()
	if code := w.Stop(); code != 0 || time.Since(began) > 3*time.Second {
		t.Errorf("it stops with %d after %v, want 0 within 3 s", code, time.Since(began))
	}
}
