package interop

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

func TestGoWatchesAndSteersRuby(t *testing.T) {
	s := newSuite(t)
	s.check("D01", "a Ruby process and its running job are read, whichever version wrote them", all,
		"", func(k *kase) {
			jid := "7a0000000000000000000012"
			if k.v == 6 {
				k.ruby.Do(&jid, `Test::Slow.perform_async(60_000)`)
				k.Sidekiq("-q", "default", "-q", "push", "-c", "3", "-g", "mastodon")
				k.ran("run", 1)
			} else {
				k.load("process.dump")
			}
			var p inspect.Process
			k.Until(15*time.Second, "it is shown with its job", func() bool {
				list, err := inspect.New(k.Store).Processes(k.Context())
				if err == nil && len(list) == 1 {
					p = list[0]
				}
				return p.Busy == 1
			})
			k.equal("process", []any{p.Concurrency, p.Queues, p.Tag, p.Quiet, p.RSS > 1024},
				"[3 [default push] mastodon false true]")
			if v := map[int]string{6: "", 7: "7.3.10", 8: "8.1.7"}[k.v]; p.Version != v {
				k.Errorf("version %q, want %q", p.Version, v)
			}
			work, err := inspect.New(k.Store).WorkInProgress(k.Context())
			if err != nil || len(work) != 1 || work[0].Job == nil {
				k.Fatalf("%+v %v", work, err)
			}
			if k.v == 8 {
				jid = "8" + jid[1:]
			}
			k.equal("work", fmt.Sprint(work[0].Queue, " ", work[0].Job.JID, " ",
				work[0].Job.Class, " ", !work[0].RunAt.IsZero()),
				"default "+jid+" Test::Slow true")
			k.OK(p.Identity, "processes")
			k.OK("Test::Slow", "busy")
		})
	s.check("D02", "workerctl quiets, then stops a Ruby process, which takes a beat for each", six,
		noRuby, func(k *kase) {
			r := k.Sidekiq("-q", "default", "-t", "2")
			id := ""
			k.Until(10*time.Second, "it is registered",
				func() bool { id = k.firstProcess(); return id != "" })
			k.OK("TSTP", "quiet", id)
			k.OK("TERM", "stop", id)
			k.equal("exit", r.Exit(30*time.Second), 0)
			quiet, stop := strings.Index(r.Log(), "Received TSTP"),
				strings.Index(r.Log(), "Shutting down")
			if quiet < 0 || stop < quiet {
				k.Errorf("TSTP at %d, shut down at %d of the log", quiet, stop)
			}
		})
	s.check("D03", "a backtrace of Ruby's is read, wrapped or strict", all, "", func(k *kase) {
		want := []string{"app/jobs/boom.rb:3:in `perform'", "lib/x.rb:1:in `é'"}
		if k.v == 6 {
			k.Sidekiq("-q", "default", "-c", "1")
			k.ruby.Do(nil, `Test::Fail.set("backtrace" => true).perform_async("boom")`)
			k.one("retry")
			k.ruby.Do(&want, `Sidekiq::RetrySet.new.first.error_backtrace`)
		} else {
			k.Raw.ZAdd(k.Context(), "retry", redis.Z{Score: 1e10, Member: k.golden("retried.json")})
		}
		j, _ := k.one("retry")
		lines := j.Backtrace()
		if len(lines) < len(want) ||
			strings.Join(lines[:len(want)], "\n") != strings.Join(want, "\n") {
			k.Errorf("%q, want %q", lines, want)
		}
		k.OK(want[0], "retries", "show", j.JID)
	})
	s.check("D04", "workerctl retries, kills, deletes and reschedules Ruby's retries", six, noRuby,
		func(k *kase) {
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
			k.equal("retry, dead, due in minutes", seen,
				fmt.Sprintf("[[%s] [%s] 120]", jids[3], jids[1]))
		})
	s.check("D05", "age and times are right for jobs of every version", all, "", func(k *kase) {
		ago := time.Now().Add(-10 * time.Second)
		stamp := fmt.Sprintf("%.6f", float64(ago.UnixMicro())/1e6)
		if k.v == 8 {
			stamp = fmt.Sprint(ago.UnixMilli())
		}
		k.enqueue(`{"retry":true,"queue":"default","class":"A","args":[],"jid":"x","created_at":` +
			stamp + `,"enqueued_at":` + stamp + `}`)
		info, err := inspect.New(k.Store).Queue(k.Context(), "default")
		if err != nil || math.Abs(info.Latency-10) > 2 {
			k.Errorf("latency %v %v", info.Latency, err)
		}
		j, err := inspect.New(k.Store).FindInQueue(k.Context(), "default", "x")
		if err != nil || j.Time("created_at").Sub(ago).Abs() > time.Millisecond {
			k.Errorf("created_at %v, want %v, %v", j.Time("created_at"), ago, err)
		}
	})
	s.check("D06", "our figures are Ruby's", six, noRuby, func(k *kase) {
		r := k.Sidekiq("-q", "default", "-c", "2")
		k.ruby.Do(nil, `7.times { Test::Record.perform_async }
			2.times { Test::Fail.perform_async("x") }
			Test::Zero.perform_async("x"); Test::Record.perform_in(900)
			Test::Record.set("queue" => "pull").perform_async`)
		k.Until(20*time.Second, "all have run", func() bool {
			return k.Card("retry") == 2 && k.Card("dead") == 1 && k.Len("default") == 0
		})
		r.Stop()
		var ruby []int64
		k.ruby.Do(&ruby, `s = Sidekiq::Stats.new; h = Sidekiq::Stats::History.new(1)
			[s.processed, s.failed, s.enqueued, s.scheduled_size, s.retry_size, s.dead_size,
			h.processed.values[0], h.failed.values[0]]`)
		st, err := inspect.New(k.Store).Stats(k.Context())
		days, herr := inspect.New(k.Store).History(k.Context(), 1)
		if err != nil || herr != nil {
			k.Fatal(err, herr)
		}
		k.equal("figures", fmt.Sprint(st.Processed, st.Failed, st.Enqueued, st.Scheduled,
			st.Retries, st.Dead, days[0].Processed, days[0].Failed),
			strings.Trim(fmt.Sprint(ruby), "[]"))
		k.equal("Ruby's", ruby, "[10 3 1 1 2 1 10 3]")
	})
	s.check("D07", "metrics of either layout are summed", later, notIn6, func(k *kase) {
		k.load("metrics.dump")
		now := time.Date(2026, 11, 22, 11, 30, 0, 0, time.UTC)
		list, err := inspect.New(k.Store).Metrics(k.Context(), time.Hour, now)
		k.equal("an hour", fmt.Sprint(list, err), "[{OkJob 6 0 163} {FailJob 2 2 0}] <nil>")
		counts, err := inspect.New(k.Store).Histogram(k.Context(), "OkJob", time.Hour, now)
		k.equal("histogram", fmt.Sprint(counts[:4], err), "[3 2 1 0] <nil>")
		if k.v == 8 { // by ten minutes
			list, err = inspect.New(k.Store).Metrics(k.Context(), 24*time.Hour, now)
			k.equal("a day", fmt.Sprint(list, err), "[{OkJob 6 0 163} {FailJob 2 2 0}] <nil>")
		}
		list, err = inspect.New(k.Store).Metrics(k.Context(), time.Hour, now.Add(3*time.Hour))
		k.equal("three hours later", fmt.Sprint(len(list), err), "0 <nil>")
	})
	s.check("D08", "of two entries with one score the other stays when one is deleted", six,
		sameWire, func(k *kase) {
			k.ruby.Do(nil, `%w(a b).each { |jid|
				redis("ZADD", "retry", "1795345726.5", JSON.generate("class" => "A",
				"args" => [], "jid" => jid, "queue" => "default")) }; nil`)
			k.OK("delete a", "retries", "delete", "a")
			j, _ := k.one("retry")
			k.equal("left", j.JID, "b")
		})
	s.check("D09", "cleaning takes dead members off, under the lock of a minute", six, sameWire,
		func(k *kase) {
			k.Raw.SAdd(k.Context(), "processes", "gone:1:0123456789ab")
			k.OK("1 dead processes", "processes", "--clean")
			k.equal("left", k.Raw.SCard(k.Context(), "processes").Val(), 0)
			if ttl := k.Raw.TTL(k.Context(), "process_cleanup").Val(); ttl > time.Minute ||
				ttl < 50*time.Second {
				k.Errorf("locked for %v", ttl)
			}
			k.Raw.SAdd(k.Context(), "processes", "gone:2:0123456789ab")
			k.OK("0 dead processes", "processes", "--clean")
		})
	s.check("D10", "the place of Ruby's iterable job is read, with or without a cursor", later,
		notIn6, func(k *kase) {
			k.load("iteration.dump")
			for jid, want := range map[string]queue.Iteration{
				"iter1": {Executions: 2, Cursor: json.RawMessage(`[1,"é"]`),
					Runtime: 7250 * time.Millisecond},
				"iter2": {Cancelled: time.Unix(1795345726, 0)},
				"iter3": {Executions: 1, Cursor: json.RawMessage(`42`), Runtime: time.Second / 2,
					Cancelled: time.Unix(1795345726, 0)},
			} {
				got, found, err := k.Store.Iteration(k.Context(), jid)
				k.equal(jid, fmt.Sprint(got, found, err), fmt.Sprint(want, true, nil))
			}
			k.OK("7.3s", "iteration", "iter1")
		})
}
