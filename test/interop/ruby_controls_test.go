package interop

import (
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func testC05QuietButton(k *kase) {
	w := k.worker("-c", "2")
	k.ruby.Post("/busy", map[string]any{"identity": k.process().Identity, "quiet": "1"})
	k.Until(10*time.Second, "the process is shown as quiet",
		func() bool { return k.process().Quiet })
	k.ruby.Shows("/busy", "quiet")
	k.push(recordPush, "")
	k.Equal("exit code", w.Stop(), 0)
	k.Equal("jobs left in the queue", k.Len("default"), 1)
}

func testC06StopButton(k *kase) {
	w := k.worker("-c", "2")
	k.Push("Test::Slow", []any{3000}, queue.Options{})
	k.ran("run", 1)
	id := k.process().Identity
	k.ruby.Post("/busy", map[string]any{"identity": id, "stop": "1"})
	k.Equal("exit code", w.Exit(20*time.Second), 0)
	k.Equal("jobs that ended", len(k.Records("end")), 1)
	k.Equal("keys left", k.Raw.Exists(k.Context(), "processes", id+":work", id+":workers").Val(), 0)
	if ttl := k.Raw.TTL(k.Context(), id).Val(); ttl > time.Minute {
		k.Errorf("its record stays for %v", ttl)
	}
}

func testC07LongJob(k *kase) {
	k.Push("Test::Slow", []any{2000}, queue.Options{})
	raw := k.raw("default")[0]
	w := k.worker("-c", "1", "-t", "1")
	k.ran("run", 1)
	k.push(recordPush, "")
	began := time.Now()
	k.Equal("exit code", w.Stop(), 0)
	harness.Between(k, "time to stop", time.Since(began), 0, 6*time.Second)
	k.Equal("next job", k.raw("default")[0], raw)
	k.Sidekiq("-q", "default", "-c", "1")
	k.Equal("language of the run that ended", k.ran("end", 1)[0].By, "ruby")
}

func testC08DumpThreads(k *kase) {
	w := k.worker()
	k.process()
	k.ruby.Do(nil, `Sidekiq::ProcessSet.new.first.dump_threads; nil`)
	k.Until(10*time.Second, "the log has stacks",
		func() bool { return w.Says("goroutine profile") })
	k.push(recordPush, "")
	k.ran("run", 1)
}

func testC09QuietAll(k *kase) {
	k.worker()
	k.Sidekiq("-q", "default")
	k.Until(10*time.Second, "both are shown", func() bool { return len(k.processes()) == 2 })
	k.ruby.Post("/busy", map[string]any{"quiet": "1"})
	k.Until(20*time.Second, "both are quiet", func() bool {
		list := k.processes()
		return len(list) == 2 && list[0].Quiet && list[1].Quiet
	})
}

func testC10Killed(k *kase) {
	w := k.worker()
	id := k.process().Identity
	w.Kill()
	for _, key := range []string{id, id + ":work", id + ":workers"} {
		// TTL gives -1 for a key that stays for ever, and -2 if there is no such key.
		if ttl := k.Raw.TTL(k.Context(), key).Val(); ttl > time.Minute || ttl == -1 {
			k.Errorf("%s stays for %v", key, ttl)
		}
		k.Raw.Del(k.Context(), key) // the test does not wait for a minute
	}
	k.Equal("processes shown", len(k.processes()), 0)
	k.ruby.Shows("/busy")
}

func testC11RetryButtons(k *kase) {
	w := k.worker()
	for range 3 {
		k.Push("Test::Fail", []any{"boom"}, queue.Options{})
	}
	k.Until(10*time.Second, "three retries", func() bool { return k.Card("retry") == 3 })
	w.Stop()
	keys := k.keys("retry")
	for i, verb := range []string{"retry", "kill", "delete"} {
		k.ruby.Post("/retries", map[string]any{"key": []string{keys[i]}, verb: "1"})
	}
	k.Equal("waiting, dead, retries",
		fmt.Sprint(k.Len("default"), k.Card("dead"), k.Card("retry")), "1 1 0")
	j := k.parse(k.raw("default")[0])
	k.Equal("retry_count after the button", j.Field("retry_count"), -1)
	k.worker()
	j, _ = k.one("retry")
	k.Equal("retry_count after one more failure", j.Field("retry_count"), 0)
	if j.Field("retried_at") == "" {
		k.Error("no retried_at: the failure was taken for the first")
	}
}

func testC12RetryAll(k *kase) {
	w := k.worker()
	for range 3 {
		k.Push("Test::Zero", []any{"boom"}, queue.Options{Retry: queue.RetryMax(0)})
	}
	k.Until(10*time.Second, "three dead jobs", func() bool { return k.Card("dead") == 3 })
	w.Stop()
	k.ruby.Post("/morgue/all/retry", nil)
	k.Equal("dead, waiting", fmt.Sprint(k.Card("dead"), k.Len("default")), "0 3")
	k.worker()
	k.Until(10*time.Second, "three dead jobs again", func() bool { return k.Card("dead") == 3 })
}

func testC13Search(k *kase) {
	k.worker()
	k.Push("Test::Fail", []any{"é<b>"}, queue.Options{})
	k.Push("Test::Fail", []any{"other"}, queue.Options{})
	k.Until(10*time.Second, "two retries", func() bool { return k.Card("retry") == 2 })
	var found []int
	k.ruby.Do(&found, `set = Sidekiq::RetrySet.new; e = set.find { |e| e.args == ["é<b>"] }
		[[set.find_job(e.jid)].compact.size, set.scan("Test::Fail").to_a.size,
		set.scan("é<b>").to_a.size, set.fetch(e.score, e.jid).size, (e.delete; set.size)]`)
	k.Equal("found by jid, class, text and score, and left", found, "[1 2 1 1 1]")
}

func testC14DeleteButton(k *kase) {
	k.Push("Test::Record", []any{"é<b>&'\"", "a/b", 1.0}, queue.Options{})
	k.Push("Test::Record", nil, queue.Options{})
	k.ruby.Do(nil, `body = get("/queues/default")[:body]
		keys = body.scan(/name=['"]key_val['"] value=['"]([^'"]*)['"]/).flatten.map { |v|
		CGI.unescapeHTML(v) }
		post("/queues/default/delete", "key_val" => keys.find { |v| v.include?("a/b") }); nil`)
	k.Equal("jobs left", k.Len("default"), 1)
}

func testC23Emptied(k *kase) {
	w := k.worker()
	k.process()
	k.Raw.FlushAll(k.Context())
	k.Until(15*time.Second, "the process is shown again",
		func() bool { return len(k.processes()) == 1 })
	k.push(recordPush, "")
	k.ran("run", 1)
	w.Stop()
	k.Equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
}

func testC24Paused(k *kase) {
	w := k.worker("-q", "default")
	k.process()
	k.Raw.SAdd(k.Context(), "paused", "default")
	k.Until(10*time.Second, "the log names the paused queue",
		func() bool { return w.Says("paused queues") })
	k.push(recordPush, "record")
	info, err := inspect.New(k.Store).Queue(k.Context(), "default")
	k.Must(err)
	k.Equal("paused", info.Paused, true)
	k.Equal("exit code", w.Stop(), 0)
	k.Equal("jobs left", k.Len("default"), 1)
}

func testC25DeadMax(k *kase) {
	w := k.Worker("-C", k.config("dead_max_jobs: 5\n"), "-c", "1")
	for range 8 {
		k.Push("Test::Zero", []any{"boom"}, queue.Options{Retry: queue.RetryMax(0)})
	}
	k.Until(10*time.Second, "all jobs are dead", func() bool {
		return strings.Count(w.Log(), "goes to the dead set") == 8 && k.InFlight() == 0
	})
	k.Equal("dead jobs kept", k.Card("dead"), 4)
}
