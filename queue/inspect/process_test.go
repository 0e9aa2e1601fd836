package inspect_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestProcesses(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	started := time.Unix(1795345820, 0)
	r := queue.ProcessRecord{Identity: "h:1:a", Hostname: "h", PID: 1, Tag: "go",
		StartedAt: started, Concurrency: 8,
		Capsules: []queue.CapsuleRecord{{Name: "default", Concurrency: 8, Mode: "strict",
			Weights: map[string]int{"a": 0}, Queues: []string{"a"}}},
		Work: []queue.WorkRecord{{TID: "t1", Queue: "a",
			Payload: `{"class":"Job","jid":"w1","args":[]}`, RunAt: started}}}
	if known, err := f.owner.Publish(ctx, r, queue.Counts{Flush: 1}, time.Now()); err != nil ||
		known {
		t.Fatal(known, err)
	}
	// A process of Sidekiq 8.1.2 and later has its threads beside info, one of 6.4.1 its work under
	// :workers.
	f.raw.SAdd(ctx, "processes", "r:8:x", "r:6:x", "r:9:x")
	f.raw.HSet(ctx, "r:8:x", "info", `{"hostname":"r","started_at":1.5,"pid":2,"queues":["b"]}`,
		"concurrency", "3", "busy", "1", "beat", "1795345820.5", "quiet", "true", "rss", "1024")
	f.raw.HSet(ctx, "r:8:x:work", "t",
		`{"queue":"b","payload":"{\"class\":\"R\",\"jid\":\"w2\"}","run_at":1795345821}`)
	f.raw.HSet(ctx, "r:6:x", "info",
		`{"hostname":"r","started_at":1.5,"pid":3,"concurrency":4,"queues":[]}`, "busy", "1")
	f.raw.HSet(ctx, "r:6:x:workers", "t",
		`{"queue":"b","payload":{"class":"R","jid":"w3"},"run_at":1795345822}`)
	list, err := f.in.Processes(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	if list[0].Concurrency != 8 || list[0].Busy != 1 || list[0].Tag != "go" ||
		!list[0].StartedAt.Equal(started) {
		t.Errorf("ours: %+v", list[0])
	}
	if list[1].Concurrency != 4 || list[2].Concurrency != 3 || !list[2].Quiet ||
		list[2].RSS != 1024 {
		t.Errorf("Ruby's: %+v", list[1:])
	}
	work, err := f.in.WorkInProgress(ctx)
	if err != nil || len(work) != 3 || work[0].Job.JID != "w1" || work[1].Job.JID != "w2" ||
		work[2].Job.JID != "w3" {
		t.Errorf("work %+v %v", work, err)
	}
	if err := f.in.Signal(ctx, "r:8:x", "TSTP"); err != nil ||
		f.raw.LIndex(ctx, "r:8:x-signals", 0).Val() != "TSTP" {
		t.Error(err)
	}
	if err := f.in.Signal(ctx, "r:9:x", "TSTP"); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
	if n, err := f.store.CleanProcesses(ctx); n != 1 || err != nil {
		t.Error(n, err)
	}
}
