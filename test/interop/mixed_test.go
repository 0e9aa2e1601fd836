package interop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// mixed are the cases in which Ruby and Go share a Redis and its failures, and those of the
// process itself.
var mixed = []row{
	{id: "E01", says: "2,000 jobs on one queue run once each, in Ruby or Go; the counters agree",
		with: all, ruby: noRuby, run: testE01OneQueue},
	{id: "E02", says: "Ruby, Go, Ruby and Go fail one job in turn: each failure counts one, and " +
		"no field is lost", with: all, ruby: noRuby, run: testE02InTurn},
	{id: "E03", says: "Redis is away for five seconds: one log line down, one up, no busy loop, " +
		"one registration", with: all, ruby: sameWire, run: testE03RedisAway},
	{id: "E04", says: "both pollers and the worker survive SCRIPT FLUSH", with: all, ruby: noRuby,
		run: testE04ScriptFlush},
	{id: "E05", says: "a scheduled payload has at: Ruby's poller waits for it, Go runs the job " +
		"when its score is due", with: all, ruby: noRuby, run: testE05StrayAt},
	{id: "E06", says: "Ruby's reschedule doubles bytes that are escaped for HTML; Go never " +
		"writes such bytes", with: all, ruby: sameWire, run: testE06Escapes},
	{id: "E07", says: "a stop during ten jobs of three queues puts all back into their queues, " +
		"byte for byte", with: all, ruby: sameWire, run: testE07TenBusyJobs},
	{id: "E08", says: "Redis is killed while a Go job fails: the retry is in Redis after its " +
		"restart", with: all, ruby: sameWire, run: testE08FailsWhileAway},
	{id: "E09", says: "a poller whose clock is 10 s ahead runs jobs at most 10 s early", with: all,
		ruby: sameWire, run: testE09FastClock},
	{id: "E10", says: "systemd gets READY, WATCHDOG after one second of two, and STOPPING",
		with: all, ruby: sameWire, run: testE10Systemd, alone: true},
	{id: "E11", says: "-V exits with 0, mistakes with an error code; a queue may be named twice",
		with: all, ruby: sameWire, run: testE11CommandLine},
	{id: "E12", says: "YAML keys with and without colons, sections, weights and capsules take " +
		"effect", with: all, run: testE12YAML},
	{id: "E13", says: "capsules and weights have the form that 8 writes", with: eight,
		why: "6 and 7 do not read capsules", run: testE13Capsules},
	{id: "E14", says: "every line of the JSON log parses and has Sidekiq's keys", with: all,
		ruby: sameWire, run: testE14JSONLog},
}

func testE01OneQueue(k *kase) {
	r, w := k.Sidekiq("-q", "default", "-c", "5"), k.worker("-c", "5")
	k.ruby.Do(nil, `Sidekiq::Client.push_bulk("class" => "Test::Slow",
		"args" => (0...2000).map { [2] }).size`)
	k.ran("end", 2000)
	k.Settled(10 * time.Second)
	by, jobs := map[string]int{}, map[string]int{}
	for _, x := range k.Records("run") {
		by[x.By]++
		jobs[x.JID]++
	}
	k.Equal("jobs, runs", fmt.Sprint(len(jobs), by["go"]+by["ruby"]), "2000 2000")
	if by["go"] == 0 || by["ruby"] == 0 {
		k.Errorf("runs by language: %v", by)
	}
	r.Stop()
	w.Stop()
	k.Equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 2000)
}

func testE02InTurn(k *kase) {
	k.ruby.Do(nil, `Sidekiq::Client.push("class" => "Test::Fail", "args" => ["boom"],
		"queue" => "default", "vendor" => {"a" => 1.0})`)
	for n, by := range []string{"ruby", "go", "ruby", "go"} {
		var p *harness.Process
		if by == "ruby" {
			p = k.Sidekiq("-q", "default", "-c", "1")
		} else {
			p = k.worker()
		}
		k.due("retry")
		k.Until(20*time.Second, "the job has failed again", func() bool {
			list := k.members("retry")
			return len(list) == 1 && strings.Contains(list[0].Member.(string),
				fmt.Sprintf(`"retry_count":%d`, n))
		})
		p.Stop()
		j, _ := k.one("retry")
		k.Equal("retry_count after "+by, j.Field("retry_count"), n)
		k.Equal("vendor", j.Field("vendor"), `{"a":1.0}`)
		k.Equal("has failed_at", j.Field("failed_at") != "", true)
		k.Equal("has retried_at", j.Field("retried_at") != "", n > 0)
	}
}

func testE04ScriptFlush(k *kase) {
	k.Sidekiq("-q", "default", "-c", "2")
	k.worker("-c", "2")
	for round := range 3 {
		k.Raw.ScriptFlush(k.Context())
		for range 20 {
			k.Push("Test::Record", nil, queue.Options{At: time.Now().Add(time.Second / 10)})
		}
		k.ran("run", 20*(round+1))
	}
	k.Settled(10 * time.Second)
	k.Equal("runs", len(k.Records("run")), 60)
}

func testE05StrayAt(k *kase) {
	stray := fmt.Sprintf(`{"class":"Test::Record","args":[],"queue":"default","retry":true,`+
		`"jid":"x","at":%d}`, time.Now().Add(time.Hour).Unix())
	k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 1000, Member: stray})
	r := k.Sidekiq("-q", "elsewhere")
	k.Until(20*time.Second, "Ruby has moved the job to its at", func() bool {
		list := k.members("schedule")
		return len(list) == 1 && list[0].Score > 1e9
	})
	r.Stop()
	k.Clear()
	k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 1000, Member: stray})
	k.worker()
	if job := string(k.ran("run", 1)[0].Job); strings.Contains(job, `"at"`) {
		k.Errorf("the job that ran has at: %s", job)
	}
	k.Equal("scheduled", k.Card("schedule"), 0)
}

func testE06Escapes(k *kase) {
	k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 2e9,
		Member: `{"class":"A","args":["\u003cb\u003e"],"jid":"x"}`})
	k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
	k.Equal("entries of escaped bytes", k.Card("schedule"), 2)
	k.Clear()
	k.Push("A", []any{"<b>"}, queue.Options{At: time.Now().Add(time.Hour)})
	k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
	k.Equal("entries of Go's bytes", k.Card("schedule"), 1)
}

func testE07TenBusyJobs(k *kase) {
	want := map[string][]string{}
	for i := range 10 {
		q := []string{"a", "b", "c"}[i%3]
		k.Push("Test::Slow", []any{60_000}, queue.Options{Queue: q})
		want[q] = k.raw(q)
	}
	w := k.worker("-c", "10", "-t", "1", "-q", "a", "-q", "b", "-q", "c")
	k.ran("run", 10)
	k.Equal("exit code", w.Stop(), 0)
	for q, jobs := range want {
		got := k.raw(q)
		slices.Sort(got)
		slices.Sort(jobs)
		if !slices.Equal(got, jobs) {
			k.Errorf("queue %s: %q, want %q", q, got, jobs)
		}
	}
}

func testE09FastClock(k *kase) {
	now := time.Now()
	k.Push("A", nil, queue.Options{At: now.Add(8 * time.Second)})
	k.Push("A", nil, queue.Options{At: now.Add(12 * time.Second)})
	// This is the poller's own call with the time that its clock would say: no tool shifts the
	// clock of a Go program.
	moved, _, err := k.Store.Promote(k.Context(), "schedule", now.Add(10*time.Second), 100)
	k.Must(err)
	k.Equal("moved, left", fmt.Sprint(moved, k.Card("schedule")), "1 1")
	info, err := inspect.New(k.Store).Queue(k.Context(), "default")
	k.Must(err)
	k.Equal("latency", info.Latency, 0)
	k.ruby.Shows("/queues/default")
}
