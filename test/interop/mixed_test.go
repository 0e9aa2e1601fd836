package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

func TestRubyAndGoShareOneRedisAndItsFailures(t *testing.T) {
	s := newSuite(t)
	s.check("E01", "2,000 jobs on one queue run once each, by either; the counters agree", six,
		noRuby, func(k *kase) {
			r, w := k.Sidekiq("-q", "default", "-c", "5"), k.worker("-c", "5")
			k.ruby.Do(nil, `Sidekiq::Client.push_bulk("class" => "Test::Slow",
				"args" => (0...2000).map { [2] }).size`)
			k.ran("end", 2000)
			k.Settled(10 * time.Second)
			by, times := map[string]int{}, map[string]int{}
			for _, x := range k.Records("run") {
				by[x.By]++
				times[x.JID]++
			}
			k.equal("jobs, runs", fmt.Sprint(len(times), by["go"]+by["ruby"]), "2000 2000")
			if by["go"] == 0 || by["ruby"] == 0 {
				k.Errorf("run by %v", by)
			}
			r.Stop()
			w.Stop()
			k.equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 2000)
		})
	s.check("E02", "one job failed by Ruby, Go and Ruby: each failure counts one, no key is lost",
		six, noRuby, handedBackAndForth)
	s.check("E03", "Redis away for five seconds: one line down, one up, no busy loop, one "+
		"registration", six, sameWire, redisAway)
	s.check("E04", "both pollers and the worker survive SCRIPT FLUSH", six, noRuby, func(k *kase) {
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
		k.equal("runs", len(k.Records("run")), 60)
	})
	s.check("E05", "a stray at in the future: Ruby's poller waits for it, ours runs the job when "+
		"its score says", six, noRuby, func(k *kase) {
		stray := fmt.Sprintf(`{"class":"Test::Record","args":[],"queue":"default","retry":true,`+
			`"jid":"x","at":%d}`, time.Now().Add(time.Hour).Unix())
		k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 1000, Member: stray})
		r := k.Sidekiq("-q", "elsewhere")
		k.Until(20*time.Second, "Ruby has moved it", func() bool {
			list := k.members("schedule")
			return len(list) == 1 && list[0].Score > 1e9
		})
		r.Stop()
		k.Clear()
		k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 1000, Member: stray})
		k.worker()
		if job := string(k.ran("run", 1)[0].Job); strings.Contains(job, `"at"`) {
			k.Errorf("at is still in it: %s", job)
		}
		k.equal("scheduled", k.Card("schedule"), 0)
	})
	s.check("E06", "HTML-escaped bytes would be doubled by Ruby's reschedule; ours never are", six,
		sameWire, func(k *kase) {
			k.Raw.ZAdd(k.Context(), "schedule", redis.Z{Score: 2e9,
				Member: `{"class":"A","args":["\u003cb\u003e"],"jid":"x"}`})
			k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
			k.equal("foreign bytes", k.Card("schedule"), 2)
			k.Clear()
			k.Push("A", []any{"<b>"}, queue.Options{At: time.Now().Add(time.Hour)})
			k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
			k.equal("our bytes", k.Card("schedule"), 1)
		})
	s.check("E07", "stopped over ten busy jobs of three queues: all back, in their queues, byte "+
		"for byte", six, sameWire, func(k *kase) {
		want := map[string][]string{}
		for i := range 10 {
			q := []string{"a", "b", "c"}[i%3]
			k.Push("Test::Slow", []any{60_000}, queue.Options{Queue: q})
			want[q] = k.raw(q)
		}
		w := k.worker("-c", "10", "-t", "1", "-q", "a", "-q", "b", "-q", "c")
		k.ran("run", 10)
		k.equal("exit", w.Stop(), 0)
		for q, jobs := range want {
			got := k.raw(q)
			slices.Sort(got)
			slices.Sort(jobs)
			if !slices.Equal(got, jobs) {
				k.Errorf("queue %s: %q, want %q", q, got, jobs)
			}
		}
	})
	s.check("E08", "Redis killed while a Go job fails: the retry is there when it is back", six,
		sameWire, failsWhileRedisIsAway)
	s.check("E09", "a poller whose clock is 10 s ahead runs jobs at most 10 s early", six, sameWire,
		func(k *kase) {
			now := time.Now()
			k.Push("A", nil, queue.Options{At: now.Add(8 * time.Second)})
			k.Push("A", nil, queue.Options{At: now.Add(12 * time.Second)})
			// The poller's own call, at the time that its clock would say: no tool shifts
			// the clock of a Go program.
			moved, _, err := k.Store.Promote(k.Context(), "schedule", now.Add(10*time.Second), 100)
			k.equal("moved, left", fmt.Sprint(moved, k.Card("schedule"), err), "1 1 <nil>")
			info, err := inspect.New(k.Store).Queue(k.Context(), "default")
			k.equal("latency", fmt.Sprint(info.Latency, err), "0 <nil>")
			k.equal("page", k.ruby.Get("/queues/default").Status, 200)
		})
	s.check("E10", "systemd is told READY, WATCHDOG about every second of two, and STOPPING", six,
		sameWire, systemdIsTold)
	s.check("E11", "-V exits 0, mistakes exit with an error code, a queue may be named twice", six,
		sameWire, func(k *kase) {
			for line, want := range map[string]int{"-V": 0, "-h": 0, "-c 0": 2,
				"-C /nonexistent.yml": 2, "--nope": 2, "-q default -q default --print-config": 0} {
				if code := k.Worker(strings.Fields(line)...).Exit(10 * time.Second); code != want {
					k.Errorf("worker %s: exit code %d, want %d", line, code, want)
				}
			}
		})
	s.check("E12", "YAML keys with and without colons, sections, weights and capsules take effect",
		all, "", yamlTakesEffect)
	s.check("E13", "capsules and weights have the shape of 8's own", eight,
		"6 and 7 do not read capsules", func(k *kase) {
			k.busy()
			shape := func(info string) string {
				var i struct {
					Weights  []map[string]int
					Capsules map[string]map[string]any
				}
				if err := json.Unmarshal([]byte(info), &i); err != nil {
					k.Fatal(err)
				}
				delete(i.Capsules["default"], "concurrency")
				return fmt.Sprint(i.Weights, i.Capsules)
			}
			ours := shape(k.Raw.HGet(k.Context(), k.firstProcess(), "info").Val())
			k.load("process.dump")
			k.equal("shape", ours, shape(k.Raw.HGet(k.Context(), "app-1:4711:0123456789ab",
				"info").Val()))
		})
	s.check("E14", "every line of the JSON log parses, with Sidekiq's keys", six, sameWire,
		func(k *kase) {
			w := k.Worker("--log-format", "json")
			k.Push("Test::Record", nil, queue.Options{Tags: []string{"a", "b"}})
			k.Push("Test::Fail", []any{"boom \"é\"\n"}, queue.Options{})
			k.Until(10*time.Second, "both have run", func() bool {
				return k.Card("retry") == 1 && len(k.Records("run")) == 1
			})
			w.Stop()
			jobs := 0
			for line := range strings.Lines(w.Log()) {
				var l struct {
					TS, TID, Lvl, Msg string
					PID               int
					Ctx               map[string]any
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil || l.TS == "" ||
					l.PID == 0 ||
					l.Lvl == "" || l.Msg == "" {
					k.Errorf("%v: %s", err, line)
				}
				if l.Msg == "start" {
					jobs++
					if l.TID == "" || l.Ctx["class"] == nil || l.Ctx["jid"] == nil {
						k.Errorf("%s", line)
					}
				}
			}
			k.equal("jobs", jobs, 2)
		})
}

func handedBackAndForth(k *kase) {
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
		k.Until(20*time.Second, "it has failed again", func() bool {
			list := k.members("retry")
			return len(list) == 1 && strings.Contains(list[0].Member.(string),
				fmt.Sprintf(`"retry_count":%d`, n))
		})
		p.Stop()
		j, _ := k.one("retry")
		k.equal("retry_count after "+by, j.Field("retry_count"), n)
		k.equal("vendor", j.Field("vendor"), `{"a":1.0}`)
		if (n > 0) != (j.Field("retried_at") != "") || j.Field("failed_at") == "" {
			k.Errorf("times after failure %d: %s", n+1, j.Raw())
		}
	}
}

// own gives a case a Redis that it may kill.
func (k *kase) own(args ...string) *kase {
	own := *k
	own.Site = harness.New(k.t, args...)
	return &own
}

func redisAway(k *kase) {
	k = k.own()
	w := k.worker("-c", "5")
	k.Until(10*time.Second, "it is registered", func() bool { return k.firstProcess() != "" })
	before := cpu(k, w.PID())
	k.Server.Kill()
	k.Until(10*time.Second, "it notices", func() bool { return w.Says("does not serve us") })
	<-time.After(5 * time.Second) // the outage of the case
	used := cpu(k, w.PID()) - before
	k.Server.Restart()
	k.Until(15*time.Second, "it is registered again", func() bool {
		return k.Raw.SCard(k.Context(), "processes").Val() == 1
	})
	k.Push("Test::Record", nil, queue.Options{})
	k.ran("run", 1)
	k.Until(10*time.Second, "it says that all is well",
		func() bool { return w.Says("serves us again") })
	k.equal("lines down", strings.Count(w.Log(), "does not serve us"), 1)
	k.equal("lines up", strings.Count(w.Log(), "serves us again"), 1)
	k.equal("registrations", k.Raw.SCard(k.Context(), "processes").Val(), 1)
	if used > time.Second/2 {
		k.Errorf("used %v of CPU during the outage", used)
	}
}

// cpu is the time that a process has used.
func cpu(k *kase, pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		k.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func failsWhileRedisIsAway(k *kase) {
	k = k.own("--appendonly", "yes", "--appendfsync", "always")
	k.Push("Test::FailAfter", []any{1000, "boom"}, queue.Options{})
	w := k.worker("-c", "1")
	k.Until(10*time.Second, "it runs", func() bool { return w.Says("start") })
	k.Server.Kill()
	k.Until(10*time.Second, "it has failed", func() bool { return w.Says("fail") })
	k.Server.Restart()
	j, _ := k.one("retry")
	k.equal("retry_count", j.Field("retry_count"), 0)
	k.Settled(10 * time.Second)
}

func systemdIsTold(k *kase) {
	path := filepath.Join(k.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		k.Fatal(err)
	}
	defer conn.Close()
	told := make(chan string, 1000)
	go func() { // ends with conn
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				close(told)
				return
			}
			told <- string(b[:n])
		}
	}()
	w := k.Start("env", append([]string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=2000000"},
		k.workerArgs()...)...)
	hear := func(what string) time.Time {
		limit := time.After(10 * time.Second)
		for {
			select {
			case text := <-told:
				if strings.Contains(text, what) {
					return time.Now()
				}
			case <-limit:
				k.Fatalf("not told %s", what)
			}
		}
	}
	hear("READY=1")
	first := hear("WATCHDOG=1")
	if gap := hear("WATCHDOG=1").Sub(first); gap < 500*time.Millisecond ||
		gap > 1500*time.Millisecond {
		k.Errorf("watchdog after %v", gap)
	}
	go w.Signal(15)
	hear("STOPPING=1")
	k.equal("exit", w.Exit(10*time.Second), 0)
}

const sidekiqYAML = `
:concurrency: 3
timeout: 7
labels: [x]
:queues:
  - first
  - [second, 2]
  - "third,3"
production:
  concurrency: 4
capsules:
  mail:
    concurrency: 2
    queues: [mailers]
`

func yamlTakesEffect(k *kase) {
	w := k.Worker("-C", k.config(sidekiqYAML), "-e", "production", "--print-config")
	k.equal("exit", w.Exit(10*time.Second), 0)
	for _, want := range []string{"concurrency", "4 ", "7 ", "first second,2 third,3", "weighted",
		"2 threads, strict, mailers"} {
		if !w.Says(want) {
			k.Errorf("no %q in\n%s", want, w.Log())
		}
	}
	k.Worker("-C", k.config(sidekiqYAML), "-e", "production")
	var info struct {
		Concurrency int
		Queues      []string
		Labels      []string
		Weights     []map[string]int
		Capsules    map[string]struct {
			Concurrency int
			Mode        string
			Weights     map[string]int
		}
	}
	k.Until(10*time.Second, "it is registered", func() bool {
		text := k.Raw.HGet(context.Background(), k.firstProcess(), "info").Val()
		return text != "" && json.Unmarshal([]byte(text), &info) == nil
	})
	k.equal("threads, queues, labels", fmt.Sprint(info.Concurrency, info.Queues, info.Labels),
		"6 [first second third mailers] [x]")
	if k.v >= 7 {
		k.equal("weights", info.Weights, "[map[first:1 second:2 third:3] map[mailers:0]]")
	}
	if k.v == 8 {
		k.equal("capsules", fmt.Sprint(info.Capsules), "map[default:{4 weighted map[first:1 "+
			"second:2 third:3]} mail:{2 strict map[mailers:0]}]")
	}
}
