package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// goWatches are the cases in which Go shows and controls Ruby's processes and jobs.
var goWatches = []row{
	{id: "D01", says: "a Ruby process and its running job are read, in the format of each version",
		with: all, run: testD01Process},
	{id: "D02", says: "workerctl quiets and then stops a Ruby process, which needs a beat for each",
		with: all, ruby: noRuby, run: testD02Signals},
	{id: "D03", says: "Ruby's backtrace is read, in wrapped and in strict Base64", with: all,
		run: testD03Backtrace},
	{id: "D04", says: "workerctl retries, kills, deletes and reschedules Ruby's retries",
		with: all, ruby: noRuby, run: testD04Retries},
	{id: "D05", says: "age and times are right for jobs of every version", with: all,
		run: testD05Times},
	{id: "D06", says: "Go's statistics are equal to Ruby's", with: all, ruby: noRuby,
		run: testD06Statistics},
	{id: "D07", says: "metrics in the keys of 7 and of 8 are summed", with: later, why: notIn6,
		run: testD07Metrics},
	{id: "D08", says: "of two entries with the same score, one is deleted and the other stays",
		with: all, ruby: sameWire, run: testD08SameScore},
	{id: "D09", says: "cleaning removes dead members of processes, at most once a minute",
		with: all, ruby: sameWire, run: testD09Cleaning},
	{id: "D10", says: "the state of Ruby's iterable job is read, with and without a cursor",
		with: later, why: notIn6, run: testD10Iteration},
}

func testD01Process(k *kase) {
	var jid string
	if k.real {
		k.ruby.Do(&jid, `Test::Slow.perform_async(60_000)`)
		k.Sidekiq("-q", "default", "-q", "push", "-c", "3", "-g", "mastodon")
		k.ran("run", 1)
	} else {
		k.load("process.dump")
		jid = k.parse(k.golden("slow.json")).JID
	}
	var p inspect.Process
	k.Until(15*time.Second, "the process is shown with its job", func() bool {
		list, err := inspect.New(k.Store).Processes(k.Context())
		if err == nil && len(list) == 1 {
			p = list[0]
		}
		return p.Busy == 1
	})
	k.Equal("process", []any{p.Concurrency, p.Queues, p.Tag, p.Quiet, p.RSS > 1024},
		"[3 [default push] mastodon false true]")
	want := map[int]string{6: "", 7: "7.", 8: "8."}[k.v]
	k.Equal("version", p.Version[:min(len(p.Version), len(want))], want)
	work, err := inspect.New(k.Store).WorkInProgress(k.Context())
	k.Must(err)
	if len(work) != 1 || work[0].Job == nil {
		k.Fatalf("running jobs: %+v", work)
	}
	k.Equal("running job", fmt.Sprint(work[0].Queue, " ", work[0].Job.JID, " ",
		work[0].Job.Class, " ", !work[0].RunAt.IsZero()), "default "+jid+" Test::Slow true")
	k.OK(p.Identity, "processes")
	k.OK("Test::Slow", "busy")
}

func testD02Signals(k *kase) {
	r := k.Sidekiq("-q", "default", "-t", "2")
	id := k.registered()
	k.OK("TSTP", "quiet", id)
	k.OK("TERM", "stop", id)
	k.Equal("exit code", r.Exit(30*time.Second), 0)
	k.inOrder(r.Log(), "Received TSTP", "Shutting down")
}

// inOrder checks that a log has all parts, in this order.
func (k *kase) inOrder(log string, parts ...string) {
	k.Helper()
	rest := log
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			k.Errorf("no %q, or not after the parts before it, of %q, in\n%s", part, parts, log)
		}
		rest = after
	}
}

func testD03Backtrace(k *kase) {
	want := []string{"app/jobs/boom.rb:3:in `perform'", "lib/x.rb:1:in `é'"}
	if k.real {
		k.Sidekiq("-q", "default", "-c", "1")
		k.ruby.Do(nil, `Test::Fail.set("backtrace" => true).perform_async("boom")`)
		k.one("retry")
		k.ruby.Do(&want, `Sidekiq::RetrySet.new.first.error_backtrace`)
	} else {
		k.Raw.ZAdd(k.Context(), "retry", redis.Z{Score: 1e10, Member: k.golden("retried.json")})
	}
	j, _ := k.one("retry")
	lines := j.Backtrace()
	k.Equal("backtrace", lines[:min(len(want), len(lines))], want)
	k.OK(want[0], "retries", "show", j.JID)
}

func testD04Retries(k *kase) {
	r := k.Sidekiq("-q", "default", "-c", "1")
	k.ruby.Do(nil, `4.times { |i| Test::Fail.perform_async("boom #{i}") }`)
	k.Until(20*time.Second, "four retries", func() bool { return k.Card("retry") == 4 })
	r.Stop()
	var jids []string
	k.ruby.Do(&jids, `Sidekiq::RetrySet.new.map(&:jid)`)
	for i, verb := range []string{"retry", "kill", "delete"} {
		k.OK(verb+" "+jids[i], "retries", verb, jids[i])
	}
	k.OK("reschedule", "retries", "reschedule", jids[3], "--in", "2h")
	var seen []any
	k.ruby.Do(&seen, `[Sidekiq::RetrySet.new.map(&:jid), Sidekiq::DeadSet.new.map(&:jid),
		((Sidekiq::RetrySet.new.first.at - Time.now) / 60).round]`)
	k.Equal("retry, dead, due in minutes", seen, fmt.Sprintf("[[%s] [%s] 120]", jids[3], jids[1]))
}

func testD05Times(k *kase) {
	ago := time.Now().Add(-10 * time.Second)
	stamp := fmt.Sprintf("%.6f", float64(ago.UnixMicro())/1e6)
	if k.v == 8 {
		stamp = fmt.Sprint(ago.UnixMilli())
	}
	k.enqueue(`{"retry":true,"queue":"default","class":"A","args":[],"jid":"x","created_at":` +
		stamp + `,"enqueued_at":` + stamp + `}`)
	info, err := inspect.New(k.Store).Queue(k.Context(), "default")
	k.Must(err)
	harness.Between(k, "latency in seconds", info.Latency, 8, 12)
	j, err := inspect.New(k.Store).FindInQueue(k.Context(), "default", "x")
	k.Must(err)
	harness.Between(k, "created_at less its time", j.Time("created_at").Sub(ago),
		-time.Millisecond, time.Millisecond)
}

func testD06Statistics(k *kase) {
	r := k.Sidekiq("-q", "default", "-c", "2")
	k.ruby.Do(nil, `7.times { Test::Record.perform_async }
		2.times { Test::Fail.perform_async("x") }
		Test::Zero.perform_async("x"); Test::Record.perform_in(900)
		Test::Record.set("queue" => "pull").perform_async`)
	k.Until(20*time.Second, "all jobs have run", func() bool {
		return k.Card("retry") == 2 && k.Card("dead") == 1 && k.Len("default") == 0
	})
	r.Stop()
	var ruby []int64
	k.ruby.Do(&ruby, `s = Sidekiq::Stats.new; h = Sidekiq::Stats::History.new(1)
		[s.processed, s.failed, s.enqueued, s.scheduled_size, s.retry_size, s.dead_size,
		h.processed.values[0], h.failed.values[0]]`)
	st, err := inspect.New(k.Store).Stats(k.Context())
	k.Must(err)
	days, err := inspect.New(k.Store).History(k.Context(), 1)
	k.Must(err)
	k.Equal("in Go", []int64{st.Processed, st.Failed, st.Enqueued, st.Scheduled, st.Retries,
		st.Dead, days[0].Processed, days[0].Failed}, ruby)
	k.Equal("in Ruby", ruby, "[10 3 1 1 2 1 10 3]")
}

func testD07Metrics(k *kase) {
	k.load("metrics.dump")
	const both = "[{OkJob 6 0 128} {FailJob 2 2 0}]"
	now := time.Date(2026, 11, 22, 11, 30, 0, 0, time.UTC)
	metrics := func(since time.Duration, now time.Time) []inspect.ClassTotals {
		list, err := inspect.New(k.Store).Metrics(k.Context(), since, now)
		k.Must(err)
		return list
	}
	k.Equal("an hour", metrics(time.Hour, now), both)
	counts, err := inspect.New(k.Store).Histogram(k.Context(), "OkJob", time.Hour, now)
	k.Must(err)
	k.Equal("histogram", counts[:4], "[3 2 1 0]")
	if k.v == 8 { // a day is read by ten minutes, which only 8 writes
		k.Equal("a day", metrics(24*time.Hour, now), both)
	}
	k.Equal("three hours later", metrics(time.Hour, now.Add(3*time.Hour)), "[]")
}

func testD08SameScore(k *kase) {
	k.ruby.Do(nil, `%w(a b).each { |jid|
		redis("ZADD", "retry", "1795345726.5", JSON.generate("class" => "A", "args" => [],
		"jid" => jid, "queue" => "default")) }; nil`)
	k.OK("delete a", "retries", "delete", "a")
	j, _ := k.one("retry")
	k.Equal("jid left", j.JID, "b")
}

func testD09Cleaning(k *kase) {
	k.Raw.SAdd(k.Context(), "processes", "gone:1:0123456789ab")
	k.OK("1 dead processes", "processes", "--clean")
	k.Equal("members left", k.Raw.SCard(k.Context(), "processes").Val(), 0)
	k.kept("process_cleanup", 50*time.Second, time.Minute)
	k.Raw.SAdd(k.Context(), "processes", "gone:2:0123456789ab")
	k.OK("0 dead processes", "processes", "--clean")
}

func testD10Iteration(k *kase) {
	k.load("iteration.dump")
	for jid, want := range map[string]queue.Iteration{
		"iter1": {Executions: 2, Cursor: json.RawMessage(`[1,"é"]`),
			Runtime: 7250 * time.Millisecond},
		"iter2": {Cancelled: time.Unix(1795345726, 0)},
		"iter3": {Executions: 1, Cursor: json.RawMessage(`42`), Runtime: time.Second / 2,
			Cancelled: time.Unix(1795345726, 0)},
	} {
		got, found, err := k.Store.Iteration(k.Context(), jid)
		k.Must(err)
		k.Equal(jid+", found", fmt.Sprint(got, found), fmt.Sprint(want, true))
	}
	k.OK("7.3s", "iteration", "iter1")
}
