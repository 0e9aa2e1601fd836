package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

func TestQueuesShowSizeAgeAndPages(t *testing.T) {
	f := newFixture(t)
	f.push("a", 120)
	f.raw.RPush(t.Context(), "queue:a",
		`{"class":"Old","jid":"old","args":[],"enqueued_at":`+
			fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())+`}`)
	f.store.Pause(t.Context(), "a")
	q, err := f.store.Queue(t.Context(), "a")
	if err != nil || q.Size != 121 || !q.Paused || q.Latency < 3599 || q.Latency > 3610 {
		t.Errorf("%+v %v", q, err)
	}
	page, _ := f.store.QueuePage(t.Context(), "a", 0, 2)
	if j, _ := envelope.ParseJob(page[0]); j.JID != "old" {
		t.Errorf("the next to run is %s", page[0])
	}
	if j, err := f.store.FindInQueue(t.Context(), "a", "a115"); err != nil || j.JID != "a115" {
		t.Error(err)
	}
	if _, err := f.store.FindInQueue(t.Context(), "a", "nobody"); !errors.Is(err,
		queue.ErrNotFound) {
		t.Error(err)
	}
	if err := f.store.DeleteFromQueue(t.Context(), "a", page[0]); err != nil {
		t.Error(err)
	}
	if err := f.store.DeleteFromQueue(t.Context(), "a", page[0]); !errors.Is(err,
		queue.ErrNotFound) {
		t.Error(err)
	}
	f.at("queue:a=120")
	if err := f.store.ClearQueue(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	f.at("")
	if list, _ := f.store.Queues(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// fill puts n failed jobs into the retry set, due in the future.
func fill(f *fixture, n int) {
	f.Helper()
	for i := range n {
		f.raw.ZAdd(f.Context(), "retry", redis.Z{Score: float64(2e9 + i),
			Member: fmt.Sprintf(`{"class":"Job","queue":"a","jid":"r%03d","args":[],"retry":true,`+
				`"retry_count":0,"created_at":1.5}`, i)})
	}
}

func TestEntriesAreFoundAndMovedOneByOne(t *testing.T) {
	f := newFixture(t)
	fill(f, 3)
	set := f.store.RetrySet()
	find := func(jid string) queue.Entry {
		e, err := set.Find(t.Context(), jid)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := set.Reschedule(t.Context(), find("r000"), time.Unix(2_100_000_000, 0)); err != nil {
		t.Error(err)
	}
	if e := find("r000"); e.At.Unix() != 2_100_000_000 {
		t.Errorf("rescheduled to %v", e.At)
	}
	for _, op := range []func() (int, error){
		func() (int, error) { return set.Retry(t.Context(), find("r000")) },
		func() (int, error) { return set.Kill(t.Context(), find("r001")) },
		func() (int, error) { return set.Delete(t.Context(), find("r002")) },
	} {
		if n, err := op(); n != 1 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
	}
	f.at("dead=1 queue:a=1")
	j, _ := envelope.ParseJob(f.raw.LIndex(t.Context(), "queue:a", 0).Val())
	if n, _ := j.RetryCount(); n != -1 || j.Field("enqueued_at") == "" {
		t.Errorf("retried by hand: %s", j.Raw()) // the attempt is given back, as Sidekiq's API does
	}
	if _, err := set.Find(t.Context(), "r000"); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
}

func TestAllOperationsEndAndSkipWhatIsNoJob(t *testing.T) {
	f := newFixture(t)
	fill(f, 250)
	f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 1, Member: "no job"})
	n, err := f.store.RetrySet().All(t.Context(), f.store.RetrySet().Retry)
	if n != 250 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	f.at("queue:a=250 retry=1")
	n, err = f.store.RetrySet().All(t.Context(), f.store.RetrySet().Kill)
	if n != 1 || err != nil {
		t.Errorf("killed %d, %v", n, err)
	}
	f.at("dead=1 queue:a=250")
	if err := f.store.DeadSet().Clear(t.Context()); err != nil {
		t.Error(err)
	}
	f.at("queue:a=250")
}

func TestTwoEntriesWithOneScoreAreToldApart(t *testing.T) {
	f := newFixture(t)
	for _, jid := range []string{"x", "y"} {
		f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 2e9,
			Member: `{"class":"Job","queue":"a","jid":"` + jid + `"}`})
	}
	e, _ := f.store.RetrySet().Find(t.Context(), "x")
	f.store.RetrySet().Delete(t.Context(), e)
	if page, _ := f.store.RetrySet().Page(t.Context(), 0, 10); len(page) != 1 ||
		page[0].Job.JID != "y" {
		t.Errorf("left: %+v", page)
	}
}

func TestProcessesAndWorkOfAllSidekiqsAreRead(t *testing.T) {
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
	list, err := f.store.Processes(ctx)
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
	work, err := f.store.WorkInProgress(ctx)
	if err != nil || len(work) != 3 || work[0].Job.JID != "w1" || work[1].Job.JID != "w2" ||
		work[2].Job.JID != "w3" {
		t.Errorf("work %+v %v", work, err)
	}
	if err := f.store.Signal(ctx, "r:8:x", "TSTP"); err != nil ||
		f.raw.LIndex(ctx, "r:8:x-signals", 0).Val() != "TSTP" {
		t.Error(err)
	}
	if err := f.store.Signal(ctx, "r:9:x", "TSTP"); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
	if n, err := f.store.CleanProcesses(ctx); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestMetricsGoWhereSidekiq8Reads(t *testing.T) {
	f := newFixture(t)
	var m queue.ClassMetrics
	m.Add(20*time.Millisecond, false) // bounds are strict: 20 ms is in the second bucket
	m.Add(time.Hour, false)
	m.Add(time.Second, true)
	at := time.Date(2026, 11, 22, 11, 8, 30, 0, time.UTC)
	if err := f.store.FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"My::Job": &m},
		at); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"j|261122|11:08", "j|261122|11:0"} {
		got := f.raw.HGetAll(t.Context(), key).Val()
		if got["My::Job|p"] != "3" || got["My::Job|f"] != "1" || got["My::Job|ms"] != "3600020" {
			t.Errorf("%s: %v", key, got)
		}
	}
	got := f.raw.BitField(t.Context(), "h|My::Job-22-11:8", "GET", "u16", "#0", "GET", "u16", "#1",
		"GET", "u16", "#25").Val()
	if fmt.Sprint(got) != "[0 1 1]" {
		t.Errorf("histogram %v", got)
	}
}

func TestHistoryCountsByDay(t *testing.T) {
	f := newFixture(t)
	if _, err := f.owner.Publish(t.Context(), queue.ProcessRecord{StartedAt: time.Now()},
		queue.Counts{Flush: 1, Processed: 10, Failed: 3}, time.Now()); err != nil {
		t.Fatal(err)
	}
	days, err := f.store.History(t.Context(), 2)
	if err != nil || days[0].Processed != 10 || days[0].Failed != 3 || days[1].Processed != 0 {
		t.Errorf("%+v %v", days, err)
	}
	ttl := f.raw.TTL(t.Context(), "stat:processed:"+days[0].Date).Val()
	if ttl < 1824*24*time.Hour || ttl > 1826*24*time.Hour {
		t.Errorf("kept for %v", ttl)
	}
}
