package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// TestTraps are the ten mistakes that docs/sidekiq.md lists. Each test fails if Go makes the
// mistake. Where 6.4.1 can, it also shows by Ruby what would happen then.
func TestTraps(t *testing.T) {
	t.Parallel()
	p := newPairs(t)
	for i, trap := range []struct {
		says string
		run  func(*kase)
	}{
		{"a whole second is written with a fraction, which 8 reads as seconds", testTrapSeconds},
		{"a running job is in :workers for 6.4.1 and in :work for later versions", testTrapWork},
		{"the number of threads is in info and in a field of its own", testTrapThreads},
		{"Ruby would generate the bytes that Go stores and rewrites", testTrapBytes},
		{"metrics have the padding of 8, and on request that of 7", testTrapMetrics},
		{"the dead set keeps one job less than its limit, as Ruby's trim does", testTrapDeadSet},
		{"only an absent retry_count is a first failure: 0 and -1 are not", testTrapRetryCount},
		{"a scheduled job has no at", testTrapAt},
		{"signals are obeyed one by one, in order, if they are sent together", testTrapSignals},
		{"cancelling a job that has not started writes a state that Ruby can load", testTrapCancel},
	} {
		t.Run(fmt.Sprint(i+1, " ", trap.says), func(t *testing.T) { trap.run(p.borrow(t, major)) })
	}
}

func testTrapSeconds(k *kase) {
	whole := time.Unix(1795345820, 0)
	j := k.parse(`{"class":"A","args":[],"jid":"x","created_at":1795345726.5}`)
	failed := k.parse(k.Store.Failed(j, whole).Apply(j))
	again := k.parse(k.Store.Enqueued(j, whole))
	for _, token := range []string{failed.Field("failed_at"), again.Field("enqueued_at")} {
		for _, version := range later {
			k.Equal(fmt.Sprint(token, " in ", version), readTime(version, token), whole)
		}
	}
	k.Equal("year in 8 without the fraction", readTime(8, "1795345820").Year(), 1970)
}

func testTrapWork(k *kase) {
	k.busy()
	id := k.firstProcess()
	k.Equal("jobs in :workers", k.Raw.HLen(k.Context(), id+":workers").Val(), 1)
	k.Equal("jobs in :work", k.Raw.HLen(k.Context(), id+":work").Val(), 1)
}

func testTrapThreads(k *kase) {
	k.busy()
	h := k.Raw.HGetAll(k.Context(), k.firstProcess()).Val()
	k.Equal("field concurrency", h["concurrency"], 8)
	k.Contains("info", h["info"], `"concurrency":8,"queues"`)
}

func testTrapBytes(k *kase) {
	args := []any{1.0, "é<b>&\u2028/\x7f", map[string]any{"z": 1, "a": k.floats()}}
	k.Push("Test::Fail", []any{"boom <é>"}, queue.Options{Backtrace: -1, Tags: []string{"<t>"},
		Extra: map[string]any{"x": args}})
	k.worker()
	j, _ := k.one("retry")
	k.Push("A", args, queue.Options{At: time.Now().Add(time.Hour)})
	var same []bool
	k.ruby.Do(&same, `[Sidekiq::RetrySet, Sidekiq::ScheduledSet].map { |s|
		e = s.new.first; ok = same_bytes?(e.value)
		e.reschedule(Time.now + 100); ok && s.new.size == 1 }`)
	k.Equal("same bytes, and one entry after a reschedule: "+j.Raw(), same, "[true true]")
}

func testTrapMetrics(k *kase) {
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	m := &queue.ClassMetrics{}
	m.Add(30*time.Millisecond, false)
	store := k.Server.Store(func(c *queue.Config) { c.Metrics7 = true })
	k.Must(store.FlushMetrics(k.Context(), map[string]*queue.ClassMetrics{"OkJob": m}, at))
	for _, key := range []string{"j|261102|3:04", "j|261102|3:0", "h|OkJob-2-3:4",
		"j|20261102|3:4", "OkJob-02-03:4"} {
		if k.Raw.Exists(k.Context(), key).Val() != 1 {
			k.Errorf("no key %s among %v", key, k.Raw.Keys(k.Context(), "*").Val())
		}
	}
	list, err := inspect.New(k.Store).Metrics(k.Context(), time.Hour, at)
	k.Must(err)
	k.Equal("read without Metrics7", list, "[{OkJob 1 0 30}]")
	// A run of 30 ms is not below the limit of 30 ms: it is in the next bucket.
	n, err := k.Raw.Do(k.Context(), "BITFIELD_RO", "h|OkJob-2-3:4", "GET", "u16", "#2").Int64Slice()
	k.Must(err)
	k.Equal("bucket 2", n, "[1]")
}

func testTrapDeadSet(k *kase) {
	store := k.Server.Store() // later cases use k.Store, so its limits stay
	store.SetDeadLimits(5, time.Hour)
	for i := range 8 {
		k.Raw.ZAdd(k.Context(), "retry", redis.Z{Score: float64(i),
			Member: fmt.Sprintf(`{"class":"A","jid":"%d"}`, i)})
	}
	list, err := inspect.New(store).RetrySet().Page(k.Context(), 0, 10)
	k.Must(err)
	_, err = store.RetrySet().Kill(k.Context(), list...)
	k.Must(err)
	k.Equal("dead", k.Card("dead"), 4)
	// The API of 7 reads this limit from the defaults only.
	k.ruby.Do(nil, `limits = Sidekiq::VERSION[0] == "7" ? Sidekiq::Config::DEFAULTS : SETTINGS
		limits[:dead_max_jobs] = 5
		Sidekiq::DeadSet.new.kill(JSON.generate("class" => "A", "jid" => "r"),
		notify_failure: false)
		limits[:dead_max_jobs] = 10_000; nil`)
	k.Equal("dead after Ruby's trim", k.Card("dead"), 4)
}

func testTrapRetryCount(k *kase) {
	for count, want := range map[string]string{`"retry_count":0,`: "1 true",
		`"retry_count":-1,`: "0 true", `"retry_count":null,`: "0 false", "": "0 false"} {
		j := k.parse(`{"class":"A","args":[],` + count + `"failed_at":1.5,"jid":"x"}`)
		after := k.parse(k.Store.Failed(j, time.Now()).Apply(j))
		k.Equal("retry_count and whether it has retried_at, after "+count,
			after.Field("retry_count")+" "+fmt.Sprint(after.Field("retried_at") != ""), want)
	}
}

func testTrapAt(k *kase) {
	k.Push("A", nil, queue.Options{At: time.Now().Add(time.Hour)})
	j, _ := k.one("schedule")
	k.Equal("at", j.Field("at"), "")
	k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.add_to_queue; nil`)
	k.Equal("waiting", k.Len("default"), 1)
}

func testTrapSignals(k *kase) {
	w := k.worker("-c", "1")
	k.registered()
	k.ruby.Do(nil, `p = Sidekiq::ProcessSet.new.first; p.dump_threads; p.quiet!; p.stop!; nil`)
	k.Equal("exit code", w.Exit(15*time.Second), 0)
	k.inOrder(w.Log(), "goroutine profile", "Received TSTP", "Shutting down")
}

func testTrapCancel(k *kase) {
	_, err := k.Store.CancelIteration(k.Context(), "fresh")
	k.Must(err)
	var state []any
	k.ruby.Do(&state, `h = redis_hash("it-fresh")
		[h["ex"].to_i, JSON.parse(h["c"]), h["rt"].to_f]`)
	k.Equal("state in Ruby", state, "[0 <nil> 0]")
}
