package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// fleetOf connects shards with these URLs, named a, b, ….
func fleetOf(t *testing.T, urls ...string) *inspect.Fleet {
	t.Helper()
	var list []queue.ShardConfig
	for i, url := range urls {
		list = append(list, queue.ShardConfig{Name: string(rune('a' + i)),
			Config: queue.Config{URL: url}})
	}
	shards, err := queue.NewShards(list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shards.Close() })
	fleet := inspect.NewFleet(shards)
	if err := fleet.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return fleet
}

// found checks that an examination has a finding of a level about the shards.
func found(t *testing.T, e *Examination, level, text string) {
	t.Helper()
	for _, f := range e.Findings {
		if f.Level == level && f.About == "shards" && strings.Contains(f.Text, text) {
			return
		}
	}
	t.Errorf("no %s finding about shards has %q: %+v", level, text, e.Findings)
}

// worker writes the record of a worker of Kyu.
func worker(t *testing.T, raw *redis.Client, identity string) {
	t.Helper()
	raw.SAdd(t.Context(), "processes", identity)
	if err := raw.HSet(t.Context(), identity, "info", `{"hostname":"h","pid":1,"started_at":1.5,`+
		`"concurrency":8,"queues":["q"]}`, "turned", time.Now().Unix(), "beat",
		time.Now().Unix()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorShards(t *testing.T) {
	a, b := redistest.Start(t), redistest.Start(t)
	fleet := fleetOf(t, a.URL, b.URL)
	examined := func() *Examination {
		e := &Examination{}
		e.Shards(t.Context(), fleet)
		return e
	}
	t.Run("a worker of both shards has the same list, and one pool", func(t *testing.T) {
		worker(t, a.Client(), "h:1:x")
		worker(t, b.Client(), "h:1:y")
		e := examined()
		found(t, e, Good, "all workers have the same list of shards")
		found(t, e, Good, "the records of their states agree")
		if len(e.Pools) != 1 {
			t.Errorf("pools: %v", e.Pools)
		}
		if f := e.Findings[0]; !strings.HasPrefix(f.Text, "shard a: ") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a worker that misses a shard is wrong", func(t *testing.T) {
		b.Client().Del(t.Context(), "processes", "h:1:y")
		found(t, examined(), Wrong, "The jobs of the shard b are served by nobody")
	})
	t.Run("states that differ, and a shard that is not known, are warnings", func(t *testing.T) {
		a.Client().HSet(t.Context(), "kyu:shards", "epoch", 2, "b", "draining", "c", "active")
		e := examined()
		found(t, e, Warning, "the shard b has the states of epoch 0")
		found(t, e, Warning, "the shards know of a shard c")
	})
	t.Run("a client that pushes to a draining shard is a warning", func(t *testing.T) {
		m, err := fleet.Member("b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := queue.NewClient(m.Store).Push(t.Context(), "C", nil,
			queue.Options{}); err != nil {
			t.Fatal(err)
		}
		found(t, examined(), Warning, "shard b: it is draining, and a client still pushes to it")
	})
	t.Run("jobs that stay on their way are a warning", func(t *testing.T) {
		a.Client().HSet(t.Context(), "kyu:moving", "1", "0\nb \"queue:q\"\n{}")
		found(t, examined(), Warning, "shard a: 1 jobs are on their way to another shard")
	})
	t.Run("a shard that is away is wrong", func(t *testing.T) {
		b.Kill()
		found(t, examined(), Wrong, "shard b: away")
	})
	t.Run("two shards on one server are a warning", func(t *testing.T) {
		e := &Examination{}
		e.Shards(t.Context(), fleetOf(t, a.URL, strings.TrimSuffix(a.URL, "0")+"1"))
		found(t, e, Warning, "the shards a and b are on one Redis server")
	})
}
