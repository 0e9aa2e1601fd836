package interop

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

const recordPush = `Test::Record.perform_async(1, 2.5, "é<b>&", nil, {"k"=>[true]})`

func TestRubyPushesAndGoRuns(t *testing.T) {
	s := newSuite(t)
	s.check("A01", "arguments arrive as Ruby sent them, and the run is counted", all, "",
		func(k *kase) {
			k.push(recordPush, "record")
			w := k.worker()
			r := k.ran("run", 1)[0]
			k.sameJSON("args", r.Args, `[1,2.5,"é<b>&",null,{"k":[true]}]`)
			k.equal("types", r.Types, "[Integer Float String NilClass Hash]")
			k.equal("exit", w.Stop(), 0)
			k.equal("left", k.Waiting()+k.InFlight(), 0)
			k.equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
		})
	s.check("A02", "big integers arrive exactly", all, "", func(k *kase) {
		k.push(`Test::Record.perform_async(12345678901234567890123, 9007199254740993)`, "big")
		k.worker()
		k.sameJSON("args", k.ran("run", 1)[0].Args, `[12345678901234567890123,9007199254740993]`)
	})
	s.check("A03", "a bulk push of 1,000 runs once each, in order", all, "", bulkInOrder)
	s.check("A04", "strict order: all of the first queue before any of the second", six, sameWire,
		func(k *kase) {
			k.ruby.Do(nil, `%w(b a).each { |q| 5.times { |i|
				Sidekiq::Client.push("queue" => q, "class" => "Test::Record",
				"args" => [q, i]) } }; nil`)
			k.worker("-c", "1", "-q", "a", "-q", "b")
			var order []string
			for _, r := range k.ran("run", 10) {
				order = append(order, string(r.Args[2]))
			}
			k.equal("order", strings.Join(order, ""), "aaaaabbbbb")
		})
	s.check("A05", "weights 3 and 1: the first queue is picked in 70 to 80 % of the fetches", six,
		sameWire, weightedShares)
	s.check("A06", "a failure lies in retry as Ruby's own would", all, "", failureInRetry)
	s.check("A07", "a due retry runs again; its times and counts go on", all, "", retryRunsAgain)
	s.check("A08", "retry 0 dies at the first failure", all, "", func(k *kase) {
		k.push(`Test::Zero.perform_async("boom")`, "zero")
		k.worker()
		j, _ := k.one("dead")
		k.equal("retry set", k.Card("retry"), 0)
		if k.v == 6 {
			var jid string
			k.ruby.Do(&jid, `Sidekiq::DeadSet.new.first.jid`)
			k.equal("jid", jid, j.JID)
			if p := k.ruby.Get("/morgue"); p.Status != 200 ||
				!strings.Contains(p.Body, "Test::Zero") {
				k.Errorf("/morgue: %d", p.Status)
			}
		}
	})
	s.check("A09", "retry false is kept nowhere; the death handler is told once", all, "",
		neverRetried)
	s.check("A10", "retry 3 with retry_count 2 dies at the next failure, with 3", all, "",
		func(k *kase) {
			k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
				"retry" => 3, "retry_count" => 2, "failed_at" => Time.now.to_f)`, "count")
			k.worker()
			j, _ := k.one("dead")
			k.equal("retry_count", j.Field("retry_count"), 3)
		})
	s.check("A11", "retry_queue is the queue from the first failure on", all, "", func(k *kase) {
		k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
			"retry_queue" => "low")`, "retryqueue")
		k.worker("-q", "default")
		j, _ := k.one("retry")
		k.equal("queue", j.Queue, "low")
		k.due("retry")
		k.Until(10*time.Second, "it is in queue:low", func() bool { return k.Len("low") == 1 })
		k.equal("listed", k.Raw.SIsMember(k.Context(), "queues", "low").Val(), true)
	})
	s.check("A12", "an unknown class is retried with NameError, and is in no metrics", all, "",
		func(k *kase) {
			k.push(`Sidekiq::Client.push("class" => "Missing::Klass", "args" => [])`, "missing")
			w := k.worker()
			j, _ := k.one("retry")
			k.equal("error_class", j.String("error_class"), "NameError")
			w.Stop()
			for _, key := range k.Raw.Keys(k.Context(), "j|*").Val() {
				k.Errorf("metrics: %s %v", key, k.Raw.HGetAll(k.Context(), key).Val())
			}
			k.equal("failed", k.Raw.Get(k.Context(), "stat:failed").Val(), 1)
		})
	s.check("A13", "bytes that are no job go to the dead set as they are", all, "", func(k *kase) {
		k.enqueue(`{bad json`)
		w := k.worker()
		k.Until(10*time.Second, "it is dead", func() bool { return k.Card("dead") == 1 })
		k.equal("bytes", k.members("dead")[0].Member, `{bad json`)
		k.push(recordPush, "record")
		k.ran("run", 1)
		w.Stop()
		k.equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
		if p := k.ruby.Get("/morgue"); p.Status != 200 {
			k.Errorf("/morgue: %d", p.Status)
		}
	})
	s.check("A14", "unknown keys survive a retry token by token", all, "", func(k *kase) {
		k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
			"foo" => {"a" => 1.0, "b" => 12345678901234567890})`, "vendor")
		k.worker()
		j, _ := k.one("retry")
		k.equal("foo", j.Field("foo"), `{"a":1.0,"b":12345678901234567890}`)
	})
	s.check("A15", "a job of integer milliseconds gets its failure in milliseconds", eight,
		"only 8 writes integer milliseconds", func(k *kase) {
			k.enqueue(k.golden("plainfail.json"))
			k.worker()
			j, _ := k.one("retry")
			k.equal("created_at", j.Field("created_at"), "1795345726974")
			k.near(8, "failed_at", j.Field("failed_at"))
			if strings.Contains(j.Field("failed_at"), ".") {
				k.Errorf("failed_at %s: want an integer", j.Field("failed_at"))
			}
		})
	s.check("A16", "a job of float seconds gets its failure in float seconds", versions{6, 7},
		"8 writes integer milliseconds: A15", func(k *kase) {
			k.push(`Test::Fail.perform_async("boom")`, "plainfail")
			k.worker()
			j, _ := k.one("retry")
			if !strings.Contains(j.Field("failed_at"), ".") {
				k.Errorf("failed_at %s: want a fraction", j.Field("failed_at"))
			}
			k.near(7, "failed_at", j.Field("failed_at"))
			k.near(8, "failed_at", j.Field("failed_at"))
		})
	s.check("A17", "a scheduled job runs when it is due", all, "", scheduledRuns)
	s.check("A18", "a Ruby and a Go poller share 500 due jobs: each runs once", six, noRuby,
		func(k *kase) {
			k.Sidekiq("-q", "default", "-c", "5")
			k.worker("-c", "5")
			k.ruby.Do(nil, `500.times { |i|
				redis("ZADD", "schedule", (Time.now.to_f - 1 + i / 1000.0).to_s,
				JSON.generate("class" => "Test::Record", "args" => [i], "queue" => "default",
				"retry" => true, "jid" => "j#{i}", "created_at" => Time.now.to_f)) }; nil`)
			k.ran("run", 500)
			k.Settled(10 * time.Second)
			times, by := map[string]int{}, map[string]int{}
			for _, r := range k.Records("run") {
				times[r.JID]++
				by[r.By]++
			}
			k.equal("jobs", len(times), 500)
			k.equal("runs", len(k.Records("run")), 500)
			k.t.Logf("run by %v", by)
		})
	s.check("A19", "ActiveJob's payload finds the wrapped class's handler, in both wrappers", all,
		"", func(k *kase) {
			k.push(activeJob, "activejob")
			w := k.worker()
			r := k.ran("run", 1)[0]
			k.sameJSON("args", r.Args,
				`[1,{"_aj_globalid":"gid://app/Account/7"},{"a":1,"_aj_symbol_keys":["a"]}]`)
			w.Stop()
			if !w.Says("class=Test::Record") {
				k.Error("the log does not name the wrapped class")
			}
			list, err := inspect.New(k.Store).Metrics(k.Context(), time.Hour, time.Now())
			if err != nil || len(list) != 1 || list[0].Class != "Test::Record" {
				k.Errorf("metrics %+v %v", list, err)
			}
		})
	s.check("A20", "current attributes are the same map in either form", later,
		notIn6+" without ActiveSupport, which its middleware needs", func(k *kase) {
			k.enqueue(k.golden("cattr.json"))
			k.worker()
			k.sameJSON("attributes", k.ran("run", 1)[0].Attrs, `{"tenant":"é","user_id":1}`)
		})
	s.check("A21", "retry_for decides by the time since the first failure, not by the count", eight,
		"6 ignores retry_for; 7 applies it beside the count", func(k *kase) {
			failed := fmt.Sprint(time.Now().Add(-100 * time.Second).UnixMilli())
			k.enqueue(strings.Replace(k.golden("retryfor60.json"), "FAILED", failed, 1))
			k.enqueue(strings.Replace(k.golden("retryfor600.json"), "FAILED", failed, 1))
			k.worker()
			dead, _ := k.one("dead")
			retry, _ := k.one("retry")
			k.equal("dead", dead.Field("retry_for"), 60)
			k.equal("retried", retry.Field("retry_for"), 600)
		})
	s.check("A22", "error messages are 10,000 characters of valid UTF-8", all, "", errorMessages)
	s.check("A23", "an absent retry reads as the handler's default, and is written", all, "",
		func(k *kase) {
			k.enqueue(strings.Replace(k.payload("plainfail"), `"retry":true,`, "", 1))
			k.worker()
			j, _ := k.one("retry")
			k.equal("retry", j.Field("retry"), "true")
		})
	s.check("A24", "log_level and tags are those of the job alone", all, "", func(k *kase) {
		k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => [],
			"log_level" => "debug", "tags" => ["a", "b"])`, "loglevel")
		w := k.worker()
		k.ran("run", 1)
		k.push(recordPush, "record")
		k.ran("run", 2)
		w.Stop()
		k.equal("debug lines", strings.Count(w.Log(), "DEBUG: recorded"), 1)
		k.equal("lines with tags", strings.Count(w.Log(), "tags=a,b"), 3) // start, debug, done
	})
	s.check("A25", "a job of a Pro batch, or an encrypted one, is refused and kept",
		all, "", refused)
	s.check("A26", "a namespace is before every key", six, "7 and 8 refuse a namespace", namespaced)
}

// payload is a golden payload, also of version 6, which writes what 7 writes.
func (k *kase) payload(name string) string {
	k.Helper()
	as := *k
	if as.v == 6 {
		as.v = 7
	}
	return as.golden(name + ".json")
}

func bulkInOrder(k *kase) {
	if k.v == 6 {
		k.ruby.Do(nil, `Sidekiq::Client.push_bulk("class" => "Test::Record",
			"args" => (0...1000).map { |i| [i] }).size`)
	} else {
		var raw []any
		for i := range 1000 {
			one := strings.Replace(k.golden("scheduled.json"), `"args":[1]`,
				fmt.Sprintf(`"args":[%d]`, i), 1)
			raw = append(raw, strings.Replace(one, `"jid":"`, fmt.Sprintf(`"jid":"%d-`, i), 1))
		}
		k.Raw.SAdd(k.Context(), "queues", "default")
		k.Raw.LPush(k.Context(), "queue:default", raw...)
	}
	k.worker("-c", "1")
	for i, r := range k.ran("run", 1000) {
		if string(r.Args) != fmt.Sprintf("[%d]", i) {
			k.Fatalf("place %d: %s", i, r.Args)
		}
	}
}

func weightedShares(k *kase) {
	k.ruby.Do(nil, `%w(a b).each { |q|
		Sidekiq::Client.push_bulk("queue" => q, "class" => "Test::Record",
		"args" => (0...600).map { |i| [q, i] }) }; nil`)
	k.worker("-c", "1", "-q", "a,3", "-q", "b,1")
	n := 0
	for _, r := range k.ran("run", 400)[:400] {
		if strings.HasPrefix(string(r.Args), `["a"`) {
			n++
		}
	}
	if n < 280 || n > 320 { // three standard deviations are 26
		k.Errorf("a was first in %d of 400 fetches, want 280 to 320", n)
	}
}

func failureInRetry(k *kase) {
	k.push(`Test::Fail.set("backtrace" => true, "tags" => ["t1"]).perform_async("boom <é>")`,
		"fail")
	k.worker()
	j, at := k.one("retry")
	k.equal("retry_count", j.Field("retry_count"), 0)
	k.equal("message", j.String("error_message"), "boom <é>")
	if wait := time.Until(at); wait < 12*time.Second || wait > 25*time.Second {
		k.Errorf("due in %v, want 15 to 25 s", wait)
	}
	k.near(max(k.v, 7), "failed_at", j.Field("failed_at"))
	if !strings.Contains(j.Raw(), `"boom <é>"`) {
		k.Errorf("the text is escaped, so Ruby's filter misses it: %s", j.Raw())
	}
	if len(j.Backtrace()) == 0 {
		k.Error("no backtrace")
	}
	if k.v != 6 {
		return
	}
	var e rubyEntry
	k.ruby.Do(&e, `retries.first`)
	k.equal("jid", e.JID, j.JID)
	k.equal("tags", e.Tags, "[t1]")
	if e.ErrorMessage != "boom <é>" || e.ErrorClass == "" || len(e.Backtrace) == 0 ||
		*e.RetryCount != 0 {
		k.Errorf("Ruby reads %+v", e)
	}
}

// rubyEntry is an entry of a set as Ruby's API reads it.
type rubyEntry struct {
	JID, Class, Queue string
	At                float64
	ErrorClass        string   `json:"error_class"`
	ErrorMessage      string   `json:"error_message"`
	RetryCount        *int     `json:"retry_count"`
	FailedAt          float64  `json:"failed_at"`
	Backtrace         []string `json:"backtrace"`
	Tags              []string `json:"tags"`
	SameBytes         bool     `json:"same_bytes"`
}

func retryRunsAgain(k *kase) {
	before, err := envelope.ParseJob(k.push(`Test::Fail.perform_async("boom")`, "plainfail"))
	if err != nil {
		k.Fatal(err)
	}
	w := k.worker()
	first, _ := k.one("retry")
	w.Stop()
	k.due("retry")
	// Promoted by a worker that serves another queue, so that it can be looked at.
	promoter := k.worker("-q", "elsewhere")
	k.Until(10*time.Second, "it is in its queue", func() bool { return k.Len("default") == 1 })
	promoter.Stop()
	again, err := envelope.ParseJob(k.raw("default")[0])
	if err != nil {
		k.Fatal(err)
	}
	k.equal("created_at", again.Field("created_at"), before.Field("created_at"))
	k.near(max(k.v, 7), "enqueued_at", again.Field("enqueued_at"))
	if k.v == 6 {
		var age float64
		k.ruby.Do(&age, `Time.now - Sidekiq::Queue.new.first.enqueued_at`)
		if age < 0 || age > 30 {
			k.Errorf("Ruby reads enqueued_at as %v s ago", age)
		}
	}
	k.worker()
	second, _ := k.one("retry")
	k.equal("retry_count", second.Field("retry_count"), 1)
	k.equal("failed_at", second.Field("failed_at"), first.Field("failed_at"))
	k.near(max(k.v, 7), "retried_at", second.Field("retried_at"))
}

func neverRetried(k *kase) {
	var deaths atomic.Int64
	mux := worker.NewMux()
	worker.Handle(mux, "Test::NoRetry", func(context.Context, string) error {
		return fmt.Errorf("boom")
	})
	k.push(`Test::NoRetry.perform_async("boom")`, "noretry")
	stop := k.run(mux, func(c *worker.Config) {
		c.DeathHandlers = []worker.DeathHandler{func(context.Context, *queue.Job, error) {
			deaths.Add(1)
		}}
	})
	k.Until(10*time.Second, "the death handler is told", func() bool { return deaths.Load() > 0 })
	stop()
	k.equal("deaths", deaths.Load(), 1)
	k.equal("kept", k.Card("retry")+k.Card("dead")+k.Waiting()+k.InFlight(), 0)
	k.equal("failed", k.Raw.Get(k.Context(), "stat:failed").Val(), 1)
}

// run runs a worker in this process, for a case that needs handlers of its own.
func (k *kase) run(mux *worker.Mux, change func(*worker.Config)) (stop func()) {
	k.Helper()
	c := worker.Config{Mux: mux, PollFixed: time.Second / 2,
		Capsules: []worker.Capsule{
			{Concurrency: 1, Queues: []worker.QueueWeight{{Name: "default"}}}}}
	if change != nil {
		change(&c)
	}
	r, err := worker.New(k.Store, c)
	if err != nil {
		k.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.Stop()
		if err := <-ended; err != nil {
			k.Error(err)
		}
	}
	k.Cleanup(stop)
	return stop
}

func scheduledRuns(k *kase) {
	due := time.Now().Add(2 * time.Second)
	if k.v == 6 {
		k.ruby.Do(nil, `Test::Record.perform_in(2, 1)`)
	} else {
		k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: float64(due.UnixMicro()) / 1e6,
			Member: k.golden("scheduled.json")})
	}
	k.worker()
	k.ran("run", 1)
	if late := time.Since(due); late < -50*time.Millisecond || late > 3*time.Second {
		k.Errorf("ran %v after it was due", late)
	}
	k.equal("left", k.Card("schedule"), 0)
	k.equal("listed", k.Raw.SIsMember(k.Context(), "queues", "default").Val(), true)
}

// activeJob pushes what Rails' adapter pushes, which is not installed here.
const activeJob = `Sidekiq::Client.push(
  "class" => "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper",
  "wrapped" => "Test::Record", "queue" => "default", "args" => [
  {"job_class" => "Test::Record", "job_id" => "0d1f9c3e", "provider_job_id" => nil,
   "queue_name" => "default", "priority" => nil,
   "arguments" => [1, {"_aj_globalid" => "gid://app/Account/7"},
     {"a" => 1, "_aj_symbol_keys" => ["a"]}],
   "executions" => 0, "exception_executions" => {}, "locale" => "en", "timezone" => "UTC",
   "enqueued_at" => "2026-11-22T11:08:46Z"}])`

func errorMessages(k *kase) {
	mux := worker.NewMux()
	worker.Handle(mux, "Test::Fail", func(_ context.Context, text string) error {
		if text == "boom" {
			return fmt.Errorf("%s", strings.Repeat("é", 20_000))
		}
		return fmt.Errorf("bad \xff\xfe end")
	})
	k.enqueue(k.payload("plainfail"))
	k.enqueue(k.payload("fail"))
	k.run(mux, nil)
	k.Until(10*time.Second, "both failed", func() bool { return k.Card("retry") == 2 })
	for _, z := range k.members("retry") {
		j, err := envelope.ParseJob(z.Member.(string))
		if err != nil {
			k.Fatal(err)
		}
		text := j.String("error_message")
		long := strings.HasPrefix(text, "é")
		if !utf8.ValidString(z.Member.(string)) || (long &&
			utf8.RuneCountInString(text) != 10_000) || (!long && text != "bad \ufffd end") {
			k.Errorf("%d characters: %.20q", utf8.RuneCountInString(text), text)
		}
	}
	var n int
	if k.ruby.Do(&n, `retries.map { |e| e[:error_message] }.size`); n != 2 {
		k.Errorf("Ruby reads %d", n)
	}
	if p := k.ruby.Get("/retries"); p.Status != 200 {
		k.Errorf("/retries: %d", p.Status)
	}
}

func refused(k *kase) {
	raw := k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => [1],
		"bid" => "gqkIHVDUd7bhIg")`, "batch")
	w := k.worker()
	j, _ := k.one("retry")
	k.equal("error_class", j.String("error_class"), "kyu.Refused")
	if !strings.Contains(j.String("error_message"), "bid") || !w.Says("gqkIHVDUd7bhIg") {
		k.Errorf("the reason is not named: %s", j.String("error_message"))
	}
	// Even a job that asked not to be kept is kept: it has had no chance.
	k.Clear()
	k.enqueue(strings.Replace(raw, `"retry":true`, `"retry":false`, 1))
	k.one("dead")
	k.Clear()
	k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => ["BAhJIg=="],
		"encrypt" => true)`, "encrypted")
	j, _ = k.one("retry")
	if !strings.Contains(j.String("error_message"), "encrypt") {
		k.Errorf("the reason is not named: %s", j.String("error_message"))
	}
	w.Stop()
	k.equal("runs", len(k.Records("run")), 0)
	k.Clear()
	k.enqueue(raw)
	k.worker("--allow-batches")
	k.ran("run", 1)
}

func namespaced(k *kase) {
	k.ruby.Do(nil, `raw = JSON.generate("retry" => true, "queue" => "default",
		"class" => "Test::Record", "args" => [1], "jid" => "ns1", "created_at" => Time.now.to_f)
		redis("SADD", "ns:queues", "default"); redis("LPUSH", "ns:queue:default", raw)`)
	// the rule of docs/redis.md is for keys without one
	w := k.Start("env", append([]string{"REDIS_NAMESPACE=ns", "REDIS_URL=" + k.Server.Admin},
		k.workerArgs()...)...)
	k.ran("run", 1)
	// through a bell
	k.Raw.LPush(k.Context(), "ns:queue:default", strings.Replace(k.payload("plainfail"), `"jid":"`,
		`"jid":"f`, 1))
	k.Until(10*time.Second, "failed", func() bool { return k.Card("ns:retry") == 1 })
	k.Until(10*time.Second, "it is shown", func() bool {
		return k.Raw.SCard(k.Context(), "ns:processes").Val() == 1
	})
	w.Stop()
	for _, key := range k.Raw.Keys(k.Context(), "*").Val() {
		if !strings.HasPrefix(key, "ns:") {
			k.Errorf("the key %s has no prefix", key)
		}
	}
	k.equal("listed", k.Raw.SIsMember(k.Context(), "ns:queues", "default").Val(), true)
}
