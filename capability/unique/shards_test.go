package unique_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

func TestLockOverShards(t *testing.T) {
	var configs []queue.ShardConfig
	var raw []*redis.Client
	for _, name := range []string{"a", "b", "c"} {
		server := redistest.Start(t)
		raw = append(raw, server.Client())
		configs = append(configs, queue.ShardConfig{Name: name, Config: queue.Config{
			URL: server.URL, Capabilities: []queue.Capability{unique.Capability()}}})
	}
	var clients []*queue.Client
	for range 2 {
		shards, err := queue.NewShards(configs)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shards.Close() })
		backend, err := shards.Backend(queue.Placement{Key: queue.ByClass})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, queue.NewClient(backend, unique.Client(map[string]unique.Lock{
			"Locked": {Kind: unique.UntilDone}})))
	}
	t.Run("is taken once, by whichever client", func(t *testing.T) {
		const locks = 30
		var g sync.WaitGroup
		var mu sync.Mutex
		taken := map[int]int{}
		for _, client := range clients {
			for range 2 {
				g.Go(func() {
					for i := range locks {
						jid, err := client.Push(t.Context(), "Locked", []any{i},
							queue.Options{ShardKey: fmt.Sprint(i % 7)})
						if err != nil {
							t.Error(err)
						}
						if err == nil && jid != "" {
							mu.Lock()
							taken[i]++
							mu.Unlock()
						}
					}
				})
			}
		}
		g.Wait()
		for i := range locks {
			if taken[i] != 1 {
				t.Errorf("the lock %d was taken %d times", i, taken[i])
			}
		}
		for i := range raw {
			if n := raw[i].LLen(t.Context(), "queue:default").Val(); n < 2 || n > 20 {
				t.Errorf("shard %d has %d of %d jobs", i, n, locks)
			}
		}
	})
	t.Run("is taken once in a bulk push", func(t *testing.T) {
		args := make([][]any, 60)
		for i := range args {
			args[i] = []any{1000 + i%20}
		}
		jids, err := clients[0].PushBulk(t.Context(), "Locked", args, queue.Options{})
		pushed := 0
		for _, jid := range jids {
			if jid != "" {
				pushed++
			}
		}
		if err != nil || pushed != 20 {
			t.Errorf("%d of 20 are pushed, %v", pushed, err)
		}
	})
}
