package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// The ten things that break first (docs/sidekiq.md lists them). Each test fails
// when the trap is stepped into, and shows by Ruby, where 6.4.1 can, what would
// happen then.
func TestTheTenTraps(t *testing.T) {
	s := newSuite(t)
	trap := func(says string, run func(k *kase)) {
		t.Run(says, func(t *testing.T) {
			site := s.site.With(t)
			site.Clear()
			run(&kase{Site: site, t: t, ruby: s.ruby.With(site), v: 6})
		})
	}
	trap("1 a whole second is written with a fraction, which 8 reads as seconds", func(k *kase) {
		whole := time.Unix(1795345820, 0)
		j, err := envelope.ParseJob(`{"class":"A","args":[],"jid":"x","created_at":1795345726.5}`)
		if err != nil {
			k.Fatal(err)
		}
		failed, err := envelope.ParseJob(k.Store.Failed(j, whole).Apply(j))
		if err != nil {
			k.Fatal(err)
		}
		again, err := envelope.ParseJob(k.Store.Enqueued(j, whole))
		if err != nil {
			k.Fatal(err)
		}
		for _, token := range []string{failed.Field("failed_at"), again.Field("enqueued_at")} {
			if !readTime(8, token).Equal(whole) || !readTime(7, token).Equal(whole) {
				k.Errorf("%s: 7 reads %v, 8 reads %v", token, readTime(7, token),
					readTime(8, token))
			}
		}
		if y := readTime(8, "1795345820").Year(); y != 1970 {
			k.Errorf("without the fraction 8 would read %d: the trap is not there", y)
		}
	})
	trap("2 a running job lies under :workers for 6.4.1 and under :work for later ones",
		func(k *kase) {
			k.busy()
			id := k.firstProcess()
			k.equal("rows", fmt.Sprint(k.Raw.HLen(k.Context(), id+":workers").Val(),
				k.Raw.HLen(k.Context(), id+":work").Val()), "1 1")
		})
	trap("3 the number of threads is in info and in a field of its own", func(k *kase) {
		k.busy()
		h := k.Raw.HGetAll(k.Context(), k.firstProcess()).Val()
		if h["concurrency"] != "8" || !strings.Contains(h["info"], `"concurrency":8,"queues"`) {
			k.Errorf("%v", h)
		}
	})
	trap("4 what Go stores, and what it rewrites, Ruby would generate byte for byte",
		func(k *kase) {
			args := []any{1.0, "é<b>&\u2028/\x7f", map[string]any{"z": 1, "a": []any{1e-7, 1e16}}}
			k.Push("Test::Fail", []any{"boom <é>"}, queue.Options{
				Backtrace: -1, Tags: []string{"<t>"}, Extra: map[string]any{"x": args}})
			k.worker()
			j, _ := k.one("retry")
			k.Push("A", args, queue.Options{At: time.Now().Add(time.Hour)})
			var same []bool
			k.ruby.Do(&same, `[Sidekiq::RetrySet, Sidekiq::ScheduledSet].map { |s|
				e = s.new.first; ok = same_bytes?(e.value)
				e.reschedule(Time.now + 100); ok && s.new.size == 1 }`)
			k.equal("same bytes, and one entry after a reschedule: "+j.Raw(), same, "[true true]")
		})
	trap("5 metrics have the padding of 8, and on request that of 7", func(k *kase) {
		at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
		m := &queue.ClassMetrics{}
		m.Add(30*time.Millisecond, false)
		store := k.Server.Store(func(c *queue.Config) { c.Metrics7 = true })
		if err := store.FlushMetrics(k.Context(), map[string]*queue.ClassMetrics{"OkJob": m},
			at); err != nil {
			k.Fatal(err)
		}
		for _, key := range []string{"j|261102|3:04", "j|261102|3:0", "h|OkJob-2-3:4",
			"j|20261102|3:4", "OkJob-02-03:4"} {
			if k.Raw.Exists(k.Context(), key).Val() != 1 {
				k.Errorf("no key %s among %v", key, k.Raw.Keys(k.Context(), "*").Val())
			}
		}
		list, err := inspect.New(k.Store).Metrics(k.Context(), time.Hour, at)
		k.equal("read by one who does not know", fmt.Sprint(list, err), "[{OkJob 1 0 30}] <nil>")
		// A run of 30 ms is not below the bound of 30: it is in the next bucket.
		n, err := k.Raw.Do(k.Context(), "BITFIELD_RO", "h|OkJob-2-3:4", "GET", "u16",
			"#2").Int64Slice()
		k.equal("bucket 2", fmt.Sprint(n, err), "[1] <nil>")
	})
	trap("6 the dead set keeps one less than its limit, as Ruby's trim does", func(k *kase) {
		k.Store.SetDeadLimits(5, time.Hour)
		for i := range 8 {
			k.Raw.ZAdd(k.Context(), "retry", redis.Z{Score: float64(i),
				Member: fmt.Sprintf(`{"class":"A","jid":"%d"}`, i)})
		}
		list, err := inspect.New(k.Store).RetrySet().Page(k.Context(), 0, 10)
		if err != nil {
			k.Fatal(err)
		}
		if _, err := k.Store.RetrySet().Kill(k.Context(), list...); err != nil {
			k.Fatal(err)
		}
		k.equal("dead", k.Card("dead"), 4)
		k.ruby.Do(nil, `Sidekiq.options[:dead_max_jobs] = 5
			Sidekiq::DeadSet.new.kill(JSON.generate("class" => "A", "jid" => "r"),
			notify_failure: false)
			Sidekiq.options[:dead_max_jobs] = 10_000; nil`)
		k.equal("dead after Ruby's trim", k.Card("dead"), 4)
	})
	trap("7 retry_count is there or not: 0 and -1 are not the first failure", func(k *kase) {
		for count, want := range map[string]string{`"retry_count":0,`: "1 true",
			`"retry_count":-1,`: "0 true", `"retry_count":null,`: "0 false", "": "0 false"} {
			j, err := envelope.ParseJob(`{"class":"A","args":[],` + count +
				`"failed_at":1.5,"jid":"x"}`)
			if err != nil {
				k.Fatal(err)
			}
			after, err := envelope.ParseJob(k.Store.Failed(j, time.Now()).Apply(j))
			if err != nil {
				k.Fatal(err)
			}
			k.equal(count,
				after.Field("retry_count")+" "+fmt.Sprint(after.Field("retried_at") != ""), want)
		}
	})
	trap("8 nothing that is scheduled carries at", func(k *kase) {
		k.Push("A", nil, queue.Options{At: time.Now().Add(time.Hour)})
		j, _ := k.one("schedule")
		k.equal("at", j.Field("at"), "")
		k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.add_to_queue; nil`)
		k.equal("waiting", k.Len("default"), 1)
	})
	trap("9 signals are heard one by one, in order, also those that were sent together",
		func(k *kase) {
			w := k.worker("-c", "1")
			id := ""
			k.Until(10*time.Second, "it is registered",
				func() bool { id = k.firstProcess(); return id != "" })
			k.ruby.Do(nil, `p = Sidekiq::ProcessSet.new.first
				p.dump_threads; p.quiet!; p.stop!; nil`)
			k.equal("exit", w.Exit(15*time.Second), 0)
			dump, quiet, stop := strings.Index(w.Log(), "goroutine profile"),
				strings.Index(w.Log(), "Received TSTP"), strings.Index(w.Log(), "Shutting down")
			if dump < 0 || quiet < dump || stop < quiet {
				k.Errorf("TTIN at %d, TSTP at %d, TERM at %d of the log", dump, quiet, stop)
			}
		})
	trap("10 cancelling a job that has no place yet writes one that Ruby can load", func(k *kase) {
		if _, err := k.Store.CancelIteration(k.Context(), "fresh"); err != nil {
			k.Fatal(err)
		}
		var state []any
		k.ruby.Do(&state, `h = redis("HGETALL", "it-fresh").each_slice(2).to_h
			[h["ex"].to_i, JSON.parse(h["c"]), h["rt"].to_f]`)
		k.equal("as Ruby loads it", state, "[0 <nil> 0]")
	})
}
