package interop

import (
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// rubyPushes are the cases in which Ruby pushes and Go runs.
var rubyPushes = []row{
	{id: "A01", says: "the arguments arrive as Ruby sent them, and the run is counted", with: all,
		run: testA01Arguments},
	{id: "A02", says: "big integers keep all digits", with: all, run: testA02BigIntegers},
	{id: "A03", says: "1,000 jobs of a bulk push run once each, in order", with: all,
		run: testA03Bulk},
	{id: "A04", says: "strict order: all jobs of the first queue run before any of the second",
		with: all, ruby: sameWire, run: testA04StrictOrder},
	{id: "A05", says: "weights 3 and 1: 70 to 80 % of the fetches take from the first queue",
		with: all, ruby: sameWire, run: testA05Weights},
	{id: "A06", says: "a failed job is in the retry set with the fields that Ruby would write",
		with: all, run: testA06Failure},
	{id: "A07", says: "a due retry runs again: its times stay, and its count goes up", with: all,
		run: testA07SecondFailure},
	{id: "A08", says: "retry 0: the job is dead after the first failure", with: all,
		run: testA08NoRetries},
	{id: "A09", says: "retry false: the job is kept nowhere, and the death handler is called once",
		with: all, run: testA09NeverRetried},
	{id: "A10", says: "retry 3 with retry_count 2: the job is dead after the next failure, with " +
		"retry_count 3", with: all, run: testA10LastRetry},
	{id: "A11", says: "retry_queue: the job belongs to this queue from the first failure on",
		with: all, run: testA11RetryQueue},
	{id: "A12", says: "an unknown class is retried with NameError, and is not in the metrics",
		with: all, run: testA12UnknownClass},
	{id: "A13", says: "bytes that are no job go to the dead set unchanged", with: all,
		run: testA13NoJob},
	{id: "A14", says: "unknown fields keep their bytes in a retry", with: all,
		run: testA14UnknownFields},
	{id: "A15", says: "a job with integer milliseconds gets failed_at in integer milliseconds",
		with: eight, why: "only 8 writes integer milliseconds", run: testA15Milliseconds},
	{id: "A16", says: "a job with float seconds gets failed_at in float seconds",
		with: versions{6, 7}, why: "8 writes integer milliseconds: A15", run: testA16Seconds},
	{id: "A17", says: "a scheduled job runs when it is due", with: all, run: testA17Scheduled},
	{id: "A18", says: "a Ruby and a Go poller share 500 due jobs: each job runs once", with: all,
		ruby: noRuby, run: testA18TwoPollers},
	{id: "A19", says: "an ActiveJob payload runs the handler of the wrapped class, with both " +
		"wrappers", with: all, run: testA19ActiveJob},
	{id: "A20", says: "both forms of current attributes give the same map", with: later,
		why: "6.4.1 has this feature only with ActiveSupport, which its middleware needs",
		run: testA20CurrentAttributes},
	{id: "A21", says: "retry_for counts the time since the first failure, and not the failures",
		with: eight, why: "6 ignores retry_for; 7 applies it together with the count",
		run: testA21RetryFor},
	{id: "A22", says: "an error message has at most 10,000 characters, in valid UTF-8", with: all,
		run: testA22Messages},
	{id: "A23", says: "if a job has no retry, the handler's default applies and is written",
		with: all, run: testA23NoRetryField},
	{id: "A24", says: "log_level and tags apply to their own job only", with: all,
		run: testA24LogLevel},
	{id: "A25", says: "a job of a Pro batch and an encrypted job are refused and kept", with: all,
		run: testA25Refused},
	{id: "A26", says: "every key has the namespace as its prefix", with: six,
		why: "7 and 8 refuse a namespace", run: testA26Namespace},
}

const recordPush = `Test::Record.perform_async(1, 2.5, "é<b>&", nil, {"k"=>[true]})`

func testA01Arguments(k *kase) {
	k.push(recordPush, "record")
	w := k.worker()
	r := k.ran("run", 1)[0]
	k.sameJSON("args", r.Args, `[1,2.5,"é<b>&",null,{"k":[true]}]`)
	k.Equal("types", r.Types, "[Integer Float String NilClass Hash]")
	k.Equal("exit code", w.Stop(), 0)
	k.Equal("jobs left", k.Waiting()+k.InFlight(), 0)
	k.Equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
}

func testA02BigIntegers(k *kase) {
	k.push(`Test::Record.perform_async(12345678901234567890123, 9007199254740993)`, "big")
	k.worker()
	k.sameJSON("args", k.ran("run", 1)[0].Args, `[12345678901234567890123,9007199254740993]`)
}

func testA03Bulk(k *kase) {
	if k.real {
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

func testA04StrictOrder(k *kase) {
	k.ruby.Do(nil, `%w(b a).each { |q| 5.times { |i|
		Sidekiq::Client.push("queue" => q, "class" => "Test::Record", "args" => [q, i]) } }; nil`)
	k.worker("-c", "1", "-q", "a", "-q", "b")
	var order []string
	for _, r := range k.ran("run", 10) {
		order = append(order, string(r.Args[2]))
	}
	k.Equal("order", strings.Join(order, ""), "aaaaabbbbb")
}

func testA05Weights(k *kase) {
	const fetches = 2000
	k.ruby.Do(nil, `%w(a b).each { |name|
		Sidekiq::Client.push_bulk("queue" => name, "class" => "Test::Record",
		"args" => (0...q[0]).map { |i| [name, i] }) }; nil`, fetches)
	k.worker("-c", "1", "-q", "a,3", "-q", "b,1")
	n := 0
	for _, r := range k.ran("run", fetches)[:fetches] {
		if strings.HasPrefix(string(r.Args), `["a"`) {
			n++
		}
	}
	// 75 % with a standard deviation of 1 %
	harness.Between(k, "fetches from the first queue", n, fetches*70/100, fetches*80/100)
}

func testA17Scheduled(k *kase) {
	due := time.Now().Add(2 * time.Second)
	if k.real {
		k.ruby.Do(nil, `Test::Record.perform_in(2, 1)`)
	} else {
		k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: float64(due.UnixMicro()) / 1e6,
			Member: k.golden("scheduled.json")})
	}
	k.worker()
	k.ran("run", 1)
	harness.Between(k, "time from due to run", time.Since(due), -50*time.Millisecond,
		3*time.Second)
	k.Equal("scheduled jobs left", k.Card("schedule"), 0)
	k.Equal("is in the set queues", k.Raw.SIsMember(k.Context(), "queues", "default").Val(), true)
}

func testA18TwoPollers(k *kase) {
	k.Sidekiq("-q", "default", "-c", "5")
	k.worker("-c", "5")
	k.ruby.Do(nil, `500.times { |i|
		redis("ZADD", "schedule", (Time.now.to_f - 1 + i / 1000.0).to_s,
		JSON.generate("class" => "Test::Record", "args" => [i], "queue" => "default",
		"retry" => true, "jid" => "j#{i}", "created_at" => Time.now.to_f)) }; nil`)
	k.ran("run", 500)
	k.Settled(10 * time.Second)
	jobs, by := map[string]int{}, map[string]int{}
	for _, r := range k.Records("run") {
		jobs[r.JID]++
		by[r.By]++
	}
	k.Equal("jobs", len(jobs), 500)
	k.Equal("runs", len(k.Records("run")), 500)
	k.Logf("runs by language: %v", by)
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

func testA19ActiveJob(k *kase) {
	k.push(activeJob, "activejob")
	w := k.worker()
	r := k.ran("run", 1)[0]
	k.sameJSON("args", r.Args,
		`[1,{"_aj_globalid":"gid://app/Account/7"},{"a":1,"_aj_symbol_keys":["a"]}]`)
	w.Stop()
	k.Contains("log", w.Log(), "class=Test::Record")
	list, err := inspect.New(k.Store).Metrics(k.Context(), time.Hour, time.Now())
	k.Must(err)
	var classes []string
	for _, m := range list {
		classes = append(classes, m.Class)
	}
	k.Equal("classes in the metrics", classes, "[Test::Record]")
}

func testA20CurrentAttributes(k *kase) {
	k.enqueue(k.golden("cattr.json"))
	k.worker()
	k.sameJSON("attributes", k.ran("run", 1)[0].Attrs, `{"tenant":"é","user_id":1}`)
}

func testA24LogLevel(k *kase) {
	k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => [],
		"log_level" => "debug", "tags" => ["a", "b"])`, "loglevel")
	w := k.worker()
	k.ran("run", 1)
	k.push(recordPush, "record")
	k.ran("run", 2)
	w.Stop()
	k.Equal("debug lines", strings.Count(w.Log(), "DEBUG: recorded"), 1)
	k.Equal("lines with tags", strings.Count(w.Log(), "tags=a,b"), 3) // start, debug, done
}

func testA26Namespace(k *kase) {
	k.ruby.Do(nil, `raw = JSON.generate("retry" => true, "queue" => "default",
		"class" => "Test::Record", "args" => [1], "jid" => "ns1", "created_at" => Time.now.to_f)
		redis("SADD", "ns:queues", "default"); redis("LPUSH", "ns:queue:default", raw)`)
	// The Redis user of docs/redis.md may use only keys without a namespace.
	w := k.Start("env", append([]string{"REDIS_NAMESPACE=ns", "REDIS_URL=" + k.Server.Admin},
		k.workerArgs()...)...)
	k.ran("run", 1)
	// This job comes through a doorbell.
	k.Raw.LPush(k.Context(), "ns:queue:default", strings.Replace(k.payload("plainfail"), `"jid":"`,
		`"jid":"f`, 1))
	k.Until(10*time.Second, "the job has failed", func() bool { return k.Card("ns:retry") == 1 })
	k.Until(10*time.Second, "the process is registered", func() bool {
		return k.Raw.SCard(k.Context(), "ns:processes").Val() == 1
	})
	w.Stop()
	for _, key := range k.Raw.Keys(k.Context(), "*").Val() {
		if !strings.HasPrefix(key, "ns:") {
			k.Errorf("the key %s has no prefix", key)
		}
	}
	k.Equal("is in the set queues", k.Raw.SIsMember(k.Context(), "ns:queues", "default").Val(),
		true)
}
