package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/worker"
)

// rubyEntry is an entry of a set as Ruby's API reads it.
type rubyEntry struct {
	JID          string
	ErrorClass   string   `json:"error_class"`
	ErrorMessage string   `json:"error_message"`
	RetryCount   *int     `json:"retry_count"`
	Backtrace    []string `json:"backtrace"`
	Tags         []string `json:"tags"`
}

func testA06Failure(k *kase) {
	k.push(`Test::Fail.set("backtrace" => true, "tags" => ["t1"]).perform_async("boom <é>")`,
		"fail")
	k.worker()
	j, at := k.one("retry")
	k.Equal("retry_count", j.Field("retry_count"), 0)
	k.Equal("message", j.String("error_message"), "boom <é>")
	// 15 to 25 s, less the time until this line
	harness.Between(k, "time until the retry", time.Until(at), 12*time.Second, 25*time.Second)
	k.near(max(k.v, 7), "failed_at", j.Field("failed_at"))
	k.Contains("payload, whose text Ruby's filter must find", j.Raw(), `"boom <é>"`)
	if len(j.Backtrace()) == 0 {
		k.Error("no backtrace")
	}
	if k.real {
		rubyReadsFailure(k, j)
	}
}

// rubyReadsFailure checks the retry of testA06Failure as Ruby's API reads it.
func rubyReadsFailure(k *kase, j *queue.Job) {
	k.Helper()
	var e rubyEntry
	k.ruby.Do(&e, `retries.first`)
	k.Equal("jid in Ruby", e.JID, j.JID)
	k.Equal("tags in Ruby", e.Tags, "[t1]")
	k.Equal("error_message in Ruby", e.ErrorMessage, "boom <é>")
	k.Equal("error_class in Ruby", e.ErrorClass, j.String("error_class"))
	if e.RetryCount == nil || *e.RetryCount != 0 {
		k.Errorf("retry_count in Ruby: %v, want 0", e.RetryCount)
	}
	if e.ErrorClass == "" || len(e.Backtrace) == 0 {
		k.Errorf("Ruby reads no class or no backtrace: %+v", e)
	}
}

func testA07SecondFailure(k *kase) {
	before := k.parse(k.push(`Test::Fail.perform_async("boom")`, "plainfail"))
	w := k.worker()
	first, _ := k.one("retry")
	w.Stop()
	k.due("retry")
	// A worker of another queue promotes the retry, so it stays in its queue for a look.
	promoter := k.worker("-q", "elsewhere")
	k.Until(10*time.Second, "the job is in its queue", func() bool { return k.Len("default") == 1 })
	promoter.Stop()
	again := k.parse(k.raw("default")[0])
	k.Equal("created_at", again.Field("created_at"), before.Field("created_at"))
	k.near(max(k.v, 7), "enqueued_at", again.Field("enqueued_at"))
	if k.real {
		var age float64
		k.ruby.Do(&age, `Time.now - Sidekiq::Queue.new.first.enqueued_at`)
		harness.Between(k, "seconds since enqueued_at in Ruby", age, 0, 30)
	}
	k.worker()
	second, _ := k.one("retry")
	k.Equal("retry_count", second.Field("retry_count"), 1)
	k.Equal("failed_at", second.Field("failed_at"), first.Field("failed_at"))
	k.near(max(k.v, 7), "retried_at", second.Field("retried_at"))
}

func testA08NoRetries(k *kase) {
	k.push(`Test::Zero.perform_async("boom")`, "zero")
	k.worker()
	j, _ := k.one("dead")
	k.Equal("retries", k.Card("retry"), 0)
	if k.real {
		var jid string
		k.ruby.Do(&jid, `Sidekiq::DeadSet.new.first.jid`)
		k.Equal("jid in Ruby", jid, j.JID)
		k.ruby.Shows("/morgue", "Test::Zero")
	}
}

func testA09NeverRetried(k *kase) {
	var deaths atomic.Int64
	mux := worker.NewMux()
	worker.Handle(mux, "Test::NoRetry", func(context.Context, string) error {
		return errors.New("boom")
	})
	k.push(`Test::NoRetry.perform_async("boom")`, "noretry")
	stop := k.run(mux, func(c *worker.Config) {
		c.DeathHandlers = []worker.DeathHandler{func(context.Context, *queue.Job, error) {
			deaths.Add(1)
		}}
	})
	k.Until(10*time.Second, "the death handler is called",
		func() bool { return deaths.Load() > 0 })
	stop()
	k.Equal("deaths", deaths.Load(), 1)
	k.Equal("jobs kept", k.Card("retry")+k.Card("dead")+k.Waiting()+k.InFlight(), 0)
	k.Equal("failed", k.Raw.Get(k.Context(), "stat:failed").Val(), 1)
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
	k.Must(err)
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

func testA10LastRetry(k *kase) {
	k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
		"retry" => 3, "retry_count" => 2, "failed_at" => Time.now.to_f)`, "count")
	k.worker()
	j, _ := k.one("dead")
	k.Equal("retry_count", j.Field("retry_count"), 3)
}

func testA11RetryQueue(k *kase) {
	k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
		"retry_queue" => "low")`, "retryqueue")
	k.worker("-q", "default")
	j, _ := k.one("retry")
	k.Equal("queue", j.Queue, "low")
	k.due("retry")
	k.Until(10*time.Second, "the job is in queue:low", func() bool { return k.Len("low") == 1 })
	k.Equal("is in the set queues", k.Raw.SIsMember(k.Context(), "queues", "low").Val(), true)
}

func testA12UnknownClass(k *kase) {
	k.push(`Sidekiq::Client.push("class" => "Missing::Klass", "args" => [])`, "missing")
	w := k.worker()
	j, _ := k.one("retry")
	k.Equal("error_class", j.String("error_class"), "NameError")
	w.Stop()
	for _, key := range k.Raw.Keys(k.Context(), "j|*").Val() {
		k.Errorf("metrics: %s %v", key, k.Raw.HGetAll(k.Context(), key).Val())
	}
	k.Equal("failed", k.Raw.Get(k.Context(), "stat:failed").Val(), 1)
}

func testA13NoJob(k *kase) {
	k.enqueue(`{bad json`)
	w := k.worker()
	k.Until(10*time.Second, "the bytes are in the dead set",
		func() bool { return k.Card("dead") == 1 })
	k.Equal("bytes", k.members("dead")[0].Member, `{bad json`)
	k.push(recordPush, "record")
	k.ran("run", 1)
	w.Stop()
	k.Equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
	k.ruby.Shows("/morgue")
}

func testA14UnknownFields(k *kase) {
	k.push(`Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
		"foo" => {"a" => 1.0, "b" => 12345678901234567890})`, "vendor")
	k.worker()
	j, _ := k.one("retry")
	k.Equal("foo", j.Field("foo"), `{"a":1.0,"b":12345678901234567890}`)
}

func testA15Milliseconds(k *kase) {
	k.enqueue(k.golden("plainfail.json"))
	k.worker()
	j, _ := k.one("retry")
	k.Equal("created_at", j.Field("created_at"), "1795345726974")
	k.near(8, "failed_at", j.Field("failed_at"))
	if strings.Contains(j.Field("failed_at"), ".") {
		k.Errorf("failed_at %s: want an integer", j.Field("failed_at"))
	}
}

func testA16Seconds(k *kase) {
	k.push(`Test::Fail.perform_async("boom")`, "plainfail")
	k.worker()
	j, _ := k.one("retry")
	k.Contains("failed_at", j.Field("failed_at"), ".")
	k.near(7, "failed_at", j.Field("failed_at"))
	k.near(8, "failed_at", j.Field("failed_at"))
}

func testA21RetryFor(k *kase) {
	failed := fmt.Sprintf(`"failed_at":%d`, time.Now().Add(-100*time.Second).UnixMilli())
	for _, name := range []string{"retryfor60.json", "retryfor600.json"} {
		k.enqueue(strings.Replace(k.golden(name), `"failed_at":1795345726974`, failed, 1))
	}
	k.worker()
	dead, _ := k.one("dead")
	retry, _ := k.one("retry")
	k.Equal("retry_for of the dead job", dead.Field("retry_for"), 60)
	k.Equal("retry_for of the retried job", retry.Field("retry_for"), 600)
}

func testA22Messages(k *kase) {
	mux := worker.NewMux()
	worker.Handle(mux, "Test::Fail", func(_ context.Context, text string) error {
		if text == "boom" {
			return errors.New(strings.Repeat("é", 20_000))
		}
		return errors.New("bad \xff\xfe end")
	})
	k.enqueue(k.payload("plainfail"))
	k.enqueue(k.payload("fail"))
	k.run(mux, nil)
	k.Until(10*time.Second, "both have failed", func() bool { return k.Card("retry") == 2 })
	for _, z := range k.members("retry") {
		raw := z.Member.(string)
		if !utf8.ValidString(raw) {
			k.Errorf("invalid UTF-8: %.100q", raw)
		}
		text := k.parse(raw).String("error_message")
		if strings.HasPrefix(text, "é") {
			k.Equal("characters", utf8.RuneCountInString(text), 10_000)
		} else {
			k.Equal("message", text, "bad \ufffd end")
		}
	}
	var n int
	k.ruby.Do(&n, `retries.map { |e| e[:error_message] }.size`)
	k.Equal("retries in Ruby", n, 2)
	k.ruby.Shows("/retries")
}

func testA23NoRetryField(k *kase) {
	k.enqueue(strings.Replace(k.payload("plainfail"), `"retry":true,`, "", 1))
	k.worker()
	j, _ := k.one("retry")
	k.Equal("retry", j.Field("retry"), "true")
}

func testA25Refused(k *kase) {
	raw := k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => [1],
		"bid" => "gqkIHVDUd7bhIg")`, "batch")
	w := k.worker()
	j, _ := k.one("retry")
	k.Equal("error_class", j.String("error_class"), "kyu.Refused")
	k.Contains("error_message", j.String("error_message"), "bid")
	k.Contains("log", w.Log(), "gqkIHVDUd7bhIg")
	// Even with retry false the job is kept, because it has not run.
	k.Clear()
	k.enqueue(strings.Replace(raw, `"retry":true`, `"retry":false`, 1))
	k.one("dead")
	k.Clear()
	k.push(`Sidekiq::Client.push("class" => "Test::Record", "args" => ["BAhJIg=="],
		"encrypt" => true)`, "encrypted")
	j, _ = k.one("retry")
	k.Contains("error_message", j.String("error_message"), "encrypt")
	w.Stop()
	k.Equal("runs", len(k.Records("run")), 0)
	k.Clear()
	k.enqueue(raw)
	k.worker("--allow-batches")
	k.ran("run", 1)
}
