package cron

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestHome(t *testing.T) {
	servers := map[string]*redistest.Server{}
	open := func(names ...string) *queue.Shards {
		var list []queue.ShardConfig
		for _, name := range names {
			if servers[name] == nil {
				servers[name] = redistest.Start(t, "--appendonly", "yes")
			}
			list = append(list, queue.ShardConfig{Name: name, Config: queue.Config{
				URL: servers[name].URL, Capabilities: []queue.Capability{Capability()}}})
		}
		shards, err := queue.NewShards(list)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shards.Close() })
		return shards
	}
	schedule := Schedule{Entries: []Entry{{Name: "tick", Every: time.Second, Class: "Tick"}}}
	home := Home(open("a", "b", "c"), schedule).Name
	t.Run("is the same for shards in another order", func(t *testing.T) {
		if other := Home(open("c", "a", "b"), schedule).Name; other != home {
			t.Errorf("%s and %s", home, other)
		}
	})
	t.Run("differs between schedules", func(t *testing.T) {
		seen, shards := map[string]bool{}, open("a", "b", "c")
		for i := range 20 {
			seen[Home(shards, Schedule{Name: fmt.Sprint("s", i)}).Name] = true
		}
		if len(seen) != 3 {
			t.Error(seen)
		}
	})
	t.Run("pushes each slot once, by whichever process, when it was away at the start",
		func(t *testing.T) {
			servers[home].Kill()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			for _, names := range [][]string{{"a", "b", "c"}, {"b", "c", "a"}} {
				s, err := New(Config{Store: Home(open(names...), schedule).Store,
					Schedule: schedule, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
				if err != nil {
					t.Fatal(err)
				}
				go func() { ended <- s.Run(ctx) }() // ends with ctx
			}
			servers[home].Restart()
			raw := servers[home].Client()
			testwait.Until(t, 30*time.Second, "three slots are pushed",
				func() bool { return raw.LLen(t.Context(), "queue:default").Val() >= 3 })
			cancel()
			for range 2 {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			seen := map[string]bool{}
			for _, payload := range raw.LRange(context.Background(), "queue:default", 0, -1).Val() {
				j, err := envelope.ParseJob(payload)
				if err != nil || seen[j.JID] {
					t.Errorf("%s, %v", payload, err)
				}
				seen[j.JID] = true
			}
			for name, server := range servers {
				n := server.Client().LLen(context.Background(), "queue:default").Val()
				if name != home && n > 0 {
					t.Errorf("%d jobs are in %s", n, name)
				}
			}
		})
}
