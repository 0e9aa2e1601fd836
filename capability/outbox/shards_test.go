package outbox_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestRelayOverShards(t *testing.T) {
	f := newFixture(t)
	servers := map[string]*redistest.Server{}
	var configs []queue.ShardConfig
	for _, name := range []string{"a", "b"} {
		servers[name] = redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		configs = append(configs, queue.ShardConfig{Name: name,
			Config: queue.Config{URL: servers[name].URL}})
	}
	shards, err := queue.NewShards(configs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shards.Close() })
	if f.relay.Store, err = shards.Backend(queue.Placement{}); err != nil {
		t.Fatal(err)
	}
	// where returns how often each JID is in a shard.
	where := func(names ...string) map[string]int {
		count := map[string]int{}
		for _, name := range names {
			jobs := servers[name].Client().LRange(t.Context(), "queue:a", 0, -1).Val()
			for _, raw := range jobs {
				j, err := envelope.ParseJob(raw)
				if err != nil {
					t.Fatal(err)
				}
				count[j.JID]++
			}
		}
		return count
	}
	servers["a"].Kill()
	f.push("Job", 1200) // more than two pages
	f.run()
	t.Run("moves the rows of the others while a shard is away", func(t *testing.T) {
		testwait.Until(t, 20*time.Second, "the rows of b are moved", func() bool {
			n := len(where("b"))
			return n > 400 && n+f.rows("true") == 1200
		})
		before := len(where("b"))
		f.push("Job", 100)
		testwait.Until(t, 20*time.Second, "new rows are moved",
			func() bool { return len(where("b")) > before+20 })
	})
	t.Run("moves each row once when it is back", func(t *testing.T) {
		servers["a"].Restart()
		testwait.Until(t, 30*time.Second, "no row waits",
			func() bool { return f.rows("true") == 0 })
		count := where("a", "b")
		for jid, n := range count {
			if n > 1 {
				t.Errorf("%s is stored %d times", jid, n)
			}
		}
		if len(count) != 1300 {
			t.Errorf("%d of 1300 jobs are stored", len(count))
		}
	})
}
