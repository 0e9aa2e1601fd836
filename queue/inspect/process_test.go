package inspect_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

var started = time.Unix(1795345820, 0)

// publish publishes a process of Kyu, h:1:a, and writes the records of two processes of Sidekiq:
// r:6:x of version 6.4.1 and r:8:x of 8.1.2. r:9:x has no record.
func (f *fixture) publish() {
	f.Helper()
	ctx := f.Context()
	r := queue.ProcessRecord{Identity: "h:1:a", Hostname: "h", PID: 1, Tag: "go",
		StartedAt: started, Concurrency: 8,
		Capsules: []queue.CapsuleRecord{{Name: "default", Concurrency: 8, Mode: "strict",
			Weights: map[string]int{"a": 0}, Queues: []string{"a"}}},
		Work: []queue.WorkRecord{{TID: "t1", Queue: "a",
			Payload: `{"class":"Job","jid":"w1","args":[]}`, RunAt: started}}}
	known, err := f.owner.Publish(ctx, r, queue.Counts{Flush: 1}, time.Now())
	if err != nil || known {
		f.Fatal(known, err)
	}
	f.raw.SAdd(ctx, "processes", "r:8:x", "r:6:x", "r:9:x")
	f.raw.HSet(ctx, "r:8:x", "info", `{"hostname":"r","started_at":1.5,"pid":2,"queues":["b"]}`,
		"concurrency", "3", "busy", "1", "beat", "1795345820.5", "quiet", "true", "rss", "1024")
	f.raw.HSet(ctx, "r:8:x:work", "t",
		`{"queue":"b","payload":"{\"class\":\"R\",\"jid\":\"w2\"}","run_at":1795345821}`)
	f.raw.HSet(ctx, "r:6:x", "info",
		`{"hostname":"r","started_at":1.5,"pid":3,"concurrency":4,"queues":[]}`, "busy", "1")
	f.raw.HSet(ctx, "r:6:x:workers", "t",
		`{"queue":"b","payload":{"class":"R","jid":"w3"},"run_at":1795345822}`)
}

func TestProcesses(t *testing.T) {
	f := newFixture(t)
	f.publish()
	list, err := f.in.Processes(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	t.Run("have a process of Kyu", func(t *testing.T) {
		p := list[0]
		same(t, "Identity", p.Identity, "h:1:a")
		same(t, "Concurrency", p.Concurrency, 8)
		same(t, "Busy", p.Busy, 1)
		same(t, "Tag", p.Tag, "go")
		if !p.StartedAt.Equal(started) {
			t.Errorf("started at %v", p.StartedAt)
		}
	})
	t.Run("have a process of Sidekiq 6", func(t *testing.T) {
		same(t, "Identity", list[1].Identity, "r:6:x")
		same(t, "Concurrency", list[1].Concurrency, 4)
	})
	t.Run("have a process of Sidekiq 8, which writes its threads beside info", func(t *testing.T) {
		p := list[2]
		same(t, "Identity", p.Identity, "r:8:x")
		same(t, "Concurrency", p.Concurrency, 3)
		same(t, "Quiet", p.Quiet, true)
		same(t, "RSS", p.RSS, 1024)
	})
	t.Run("are cleaned of identities without a record", func(t *testing.T) {
		if n, err := f.store.CleanProcesses(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestSignal(t *testing.T) {
	f := newFixture(t)
	f.publish()
	t.Run("is stored for a live process", func(t *testing.T) {
		if err := f.in.Signal(t.Context(), "r:8:x", "TSTP"); err != nil {
			t.Error(err)
		}
		same(t, "the signal", f.raw.LIndex(t.Context(), "r:8:x-signals", 0).Val(), "TSTP")
	})
	t.Run("returns ErrNotFound for a process without a record", func(t *testing.T) {
		err := f.in.Signal(t.Context(), "r:9:x", "TSTP")
		if !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestProcessesOf(t *testing.T) {
	f := newFixture(t)
	f.publish()
	t.Run("has those of the named processes that are alive", func(t *testing.T) {
		list, err := f.in.ProcessesOf(t.Context(), "r:8:x", "r:9:x")
		if err != nil || len(list) != 1 || list[0].Identity != "r:8:x" {
			t.Errorf("%+v %v", list, err)
		}
	})
}
