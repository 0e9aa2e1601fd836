package spool_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// shardBench is a spool before three shards.
type shardBench struct {
	*bench
	servers []*redistest.Server
	acked   []string
}

func newShardBench(t *testing.T) *shardBench {
	b := &shardBench{bench: &bench{T: t, dir: t.TempDir()}}
	var configs []queue.ShardConfig
	for _, name := range []string{"a", "b", "c"} {
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		b.servers = append(b.servers, server)
		configs = append(configs, queue.ShardConfig{Name: name,
			Config: queue.Config{URL: server.URL}})
	}
	shards, err := queue.NewShards(configs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shards.Close() })
	backend, err := shards.Backend(queue.Placement{})
	if err != nil {
		t.Fatal(err)
	}
	b.open(backend, spool.Options{})
	return b
}

// push pushes n jobs. It allows errors of pushes whose outcome is unknown.
func (b *shardBench) push(n int) {
	b.Helper()
	for range n {
		jid, err := b.client.Push(b.Context(), "Job", nil, queue.Options{Queue: "q"})
		if err == nil {
			b.acked = append(b.acked, jid)
		} else if !errors.Is(err, queue.ErrUnknown) {
			b.Error(err)
		}
	}
}

// once checks that each job is in exactly one shard.
func (b *shardBench) once() {
	b.Helper()
	count := map[string]int{}
	for _, s := range b.servers {
		for _, raw := range s.Client().LRange(b.Context(), "queue:q", 0, -1).Val() {
			j, err := envelope.ParseJob(raw)
			if err != nil {
				b.Fatal(err)
			}
			if count[j.JID]++; count[j.JID] > 1 {
				b.Errorf("%s is stored twice", j.JID)
			}
		}
	}
	for _, jid := range b.acked {
		if count[jid] == 0 {
			b.Errorf("%s is lost", jid)
		}
	}
}

func TestSpoolBeforeShards(t *testing.T) {
	b := newShardBench(t)
	b.run()
	b.push(30)
	t.Run("keeps nothing on the disk while one shard is away", func(t *testing.T) {
		b.servers[0].Kill()
		b.push(60)
		if st := b.spool.Stats(); st.Kept != 0 {
			t.Errorf("%d jobs went to the disk", st.Kept)
		}
	})
	t.Run("keeps pushes on the disk while all are away", func(t *testing.T) {
		b.servers[1].Kill()
		b.servers[2].Kill()
		b.push(30)
		if st := b.spool.Stats(); st.Waiting == 0 {
			t.Error("no job waits")
		}
	})
	t.Run("stores each job once when they are back", func(t *testing.T) {
		for _, s := range b.servers {
			s.Restart()
		}
		testwait.Until(t, 20*time.Second, "nothing waits",
			func() bool { return b.spool.Stats().Waiting == 0 })
		b.push(30)
		b.once()
	})
}
