package interop

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestRubyWatchesAndSteersGo(t *testing.T) {
	s := newSuite(t)
	s.check("C01", "the process is shown with its threads, queues and busy job", all, "",
		func(k *kase) {
			k.busy()
			k.readers(nil)
			if k.v == 6 {
				p := k.process()
				if !regexp.MustCompile(`^[\w.-]+:\d+:[0-9a-f]{12}$`).MatchString(p.Identity) {
					k.Errorf("identity %q", p.Identity)
				}
				k.equal("process", fmt.Sprint(p.Concurrency, p.Busy, p.Queues, p.Quiet),
					"8 1 [default push] false")
			}
		})
	s.check("C02", "the running job is shown with its thread, queue, start and payload", all, "",
		func(k *kase) {
			jid := k.busy()
			k.readers(nil)
			if k.v == 6 {
				var work []struct {
					TID, Queue, JID string
					RunAt           int64 `json:"run_at"`
				}
				k.ruby.Do(&work, `work`)
				if len(work) != 1 || work[0].TID == "" || work[0].Queue != "default" ||
					work[0].JID != jid || time.Since(time.Unix(work[0].RunAt, 0)) > time.Minute {
					k.Errorf("%+v", work)
				}
			}
		})
	s.check("C03", "the web pages show it, and their figures are Redis's", six, noRuby, pages)
	s.check("C04", "sidekiqmon lists it", six, noRuby, func(k *kase) {
		k.busy()
		k.process()
		cmd := exec.Command("ruby", "-W0", filepath.Join(filepath.Dir(harness.SidekiqBin),
			"sidekiqmon"))
		cmd.Env = append(cmd.Environ(), "REDIS_URL="+k.Server.URL)
		out, err := cmd.CombinedOutput()
		for _, want := range []string{"Processes (1)", "Threads: 8 (1 busy)", "default, push"} {
			if err != nil || !strings.Contains(string(out), want) {
				k.Errorf("%v, no %q in\n%s", err, want, out)
			}
		}
	})
	s.check("C05", "the page's Quiet button: nothing more is taken, and it is shown as quiet", six,
		noRuby, func(k *kase) {
			w := k.worker("-c", "2")
			k.ruby.Post("/busy", map[string]any{"identity": k.process().Identity, "quiet": "1"})
			k.Until(10*time.Second, "it is shown as quiet",
				func() bool { return k.process().Quiet })
			if !strings.Contains(k.ruby.Get("/busy").Body, "quiet") {
				k.Error("the page does not say quiet")
			}
			k.push(recordPush, "")
			k.equal("exit", w.Stop(), 0)
			k.equal("left in the list", k.Len("default"), 1)
		})
	s.check("C06", "the page's Stop button: the job ends, the process is gone from the page", six,
		noRuby, func(k *kase) {
			w := k.worker("-c", "2")
			k.Push("Test::Slow", []any{3000}, queue.Options{})
			k.ran("run", 1)
			id := k.process().Identity
			k.ruby.Post("/busy", map[string]any{"identity": id, "stop": "1"})
			k.equal("exit", w.Exit(20*time.Second), 0)
			k.equal("ended", len(k.Records("end")), 1)
			k.equal("left", k.Raw.Exists(k.Context(), "processes", id+":work", id+":workers").Val(),
				0)
			if ttl := k.Raw.TTL(k.Context(), id).Val(); ttl > time.Minute {
				k.Errorf("its record stays for %v", ttl)
			}
		})
	s.check("C07", "stopped over a long job, it puts the same bytes at the end that is taken next",
		six, noRuby, func(k *kase) {
			k.Push("Test::Slow", []any{2000}, queue.Options{})
			raw := k.raw("default")[0]
			w := k.worker("-c", "1", "-t", "1")
			k.ran("run", 1)
			k.push(recordPush, "")
			began := time.Now()
			k.equal("exit", w.Stop(), 0)
			if took := time.Since(began); took > 6*time.Second {
				k.Errorf("took %v", took)
			}
			k.equal("next", k.raw("default")[0], raw)
			k.Sidekiq("-q", "default", "-c", "1")
			k.equal("ended by", k.ran("end", 1)[0].By, "ruby")
		})
	s.check("C08", "dump_threads: all stacks are in the log, and it goes on", six, noRuby,
		func(k *kase) {
			w := k.worker()
			k.process()
			k.ruby.Do(nil, `Sidekiq::ProcessSet.new.first.dump_threads; nil`)
			k.Until(10*time.Second, "stacks", func() bool { return w.Says("goroutine profile") })
			k.push(recordPush, "")
			k.ran("run", 1)
		})
	s.check("C09", "Quiet all quiets a Go and a Ruby process", six, noRuby, func(k *kase) {
		k.worker()
		k.Sidekiq("-q", "default")
		k.Until(10*time.Second, "both are shown", func() bool { return len(k.processes()) == 2 })
		k.ruby.Post("/busy", map[string]any{"quiet": "1"})
		k.Until(20*time.Second, "both are quiet", func() bool {
			list := k.processes()
			return len(list) == 2 && list[0].Quiet && list[1].Quiet
		})
	})
	s.check("C10", "a killed process's record expires, and Ruby forgets it", six, noRuby,
		func(k *kase) {
			w := k.worker()
			id := k.process().Identity
			w.Kill()
			for _, key := range []string{id, id + ":work", id + ":workers"} {
				if ttl := k.Raw.TTL(k.Context(), key).Val(); ttl > time.Minute || ttl == -1 {
					k.Errorf("%s stays for %v", key, ttl)
				}
				k.Raw.Del(k.Context(), key) // rather than wait for a minute
			}
			k.equal("shown", len(k.processes()), 0)
			k.equal("status", k.ruby.Get("/busy").Status, 200)
		})
	s.check("C11", "the page retries, kills and deletes Go's retries; counts go back by one and "+
		"on again", six, sameWire, buttons)
	s.check("C12", "the page's Retry all brings dead jobs back to a Go worker", six, sameWire,
		func(k *kase) {
			w := k.worker()
			for range 3 {
				k.Push("Test::Zero", []any{"boom"}, queue.Options{Retry: queue.RetryMax(0)})
			}
			k.Until(10*time.Second, "dead", func() bool { return k.Card("dead") == 3 })
			w.Stop()
			k.ruby.Post("/morgue/all/retry", nil)
			k.equal("dead, waiting", fmt.Sprint(k.Card("dead"), k.Len("default")), "0 3")
			k.worker()
			k.Until(10*time.Second, "dead again", func() bool { return k.Card("dead") == 3 })
		})
	s.check("C13", "Ruby's API finds Go's retries by jid, text and score, and deletes exactly one",
		six, sameWire, func(k *kase) {
			k.worker()
			k.Push("Test::Fail", []any{"é<b>"}, queue.Options{})
			k.Push("Test::Fail", []any{"other"}, queue.Options{})
			k.Until(10*time.Second, "failed", func() bool { return k.Card("retry") == 2 })
			var found []int
			k.ruby.Do(&found, `set = Sidekiq::RetrySet.new; e = set.find { |e| e.args == ["é<b>"] }
			[[set.find_job(e.jid)].compact.size, set.scan("Test::Fail").to_a.size,
			set.scan("é<b>").to_a.size, set.fetch(e.score, e.jid).size, (e.delete; set.size)]`)
			k.equal("found", found, "[1 2 1 1 1]")
		})
	s.check("C14", "the page's Delete takes Go's job out of a queue, by the bytes it shows", six,
		sameWire, func(k *kase) {
			k.Push("Test::Record", []any{"é<b>&'\"", "a/b", 1.0}, queue.Options{})
			k.Push("Test::Record", nil, queue.Options{})
			k.ruby.Do(nil, `body = get("/queues/default")[:body]
			keys = body.scan(/name=['"]key_val['"] value=['"]([^'"]*)['"]/).flatten.map { |v|
			CGI.unescapeHTML(v) }
			post("/queues/default/delete", "key_val" => keys.find { |v| v.include?("a/b") }); nil`)
			k.equal("left", k.Len("default"), 1)
		})
	s.check("C15", "the day's counters are Ruby's history, kept for five years", six, sameWire,
		func(k *kase) {
			w := k.worker("-c", "1")
			for i := range 10 {
				k.Push([]string{"Test::NoOp", "Test::Fail"}[min(1, max(0, i-6))], []any{"x"},
					queue.Options{})
			}
			k.Until(10*time.Second, "all have run",
				func() bool { return k.Waiting()+k.InFlight() == 0 && k.Card("retry") == 3 })
			w.Stop()
			var history [][]int
			k.ruby.Do(&history,
				`h = Sidekiq::Stats::History.new(1); [h.processed.values, h.failed.values]`)
			k.equal("processed, failed", history, "[[10] [3]]")
			key := "stat:processed:" + time.Now().UTC().Format(time.DateOnly)
			if ttl := k.Raw.TTL(k.Context(), key).Val().Seconds(); ttl < 157_679_000 ||
				ttl > 157_680_000 {
				k.Errorf("%s is kept for %v s", key, ttl)
			}
		})
	s.check("C16", "metrics lie where the pages of 7 and 8 look, with their times to live", later,
		notIn6, metricsWritten)
	s.check("C17", "a deploy marked twice within a minute is one mark, at the minute", later,
		notIn6, func(k *kase) {
			k.OK("marked: v1", "deploy", "v1")
			k.OK("already", "deploy", "v1")
			keys := k.Raw.Keys(k.Context(), "*-marks").Val()
			if len(keys) != 1 || !regexp.MustCompile(`^\d{8}-marks$`).MatchString(keys[0]) {
				k.Fatalf("marks %v", keys)
			}
			marks := k.Raw.HGetAll(k.Context(), keys[0]).Val()
			for at, label := range marks {
				if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$`).MatchString(at) ||
					label != "v1" {
					k.Errorf("mark %q %q", at, label)
				}
			}
			k.equal("marks", len(marks), 1)
			days, lock := k.Raw.TTL(k.Context(), keys[0]).Val(),
				k.Raw.TTL(k.Context(), "deploylock-v1").Val()
			if days.Hours() < 89*24 || days.Hours() > 90*24 || lock > time.Minute || lock <= 0 {
				k.Errorf("kept for %v, locked for %v", days, lock)
			}
			k.OK("v1", "deploys")
		})
	s.check("C18", "a host name with dots and dashes, labels and no tag do not break the page", six,
		sameWire, func(k *kase) {
			file := k.config("labels: [reliable, \"é<b>\"]\n")
			k.Start("env", "DYNO=web-1.example.com", filepath.Join(harness.Bin, "worker"), "-C",
				file)
			p := k.process()
			if !strings.HasPrefix(p.Identity, "web-1.example.com:") ||
				fmt.Sprint(p.Labels) != "[reliable é<b>]" {
				k.Errorf("%+v", p)
			}
			k.equal("status", k.ruby.Get("/busy").Status, 200)
		})
	s.check("C19", "without the hash field concurrency 8 would show no threads", eight,
		"6 and 7 read it from info", func(k *kase) {
			k.busy()
			k.readers(nil)
			k.Raw.HDel(k.Context(), k.firstProcess(), "concurrency")
			k.readers([]string{"8: 0 threads"})
		})
	s.check("C20", "without concurrency in info 7 would break the Busy page", seven,
		"6 shows 0 threads, 8 reads the hash field", func(k *kase) {
			k.busy()
			id := k.firstProcess()
			info := k.Raw.HGet(k.Context(), id, "info").Val()
			// the capsule's stays
			k.Raw.HSet(k.Context(), id, "info", strings.Replace(info, `"concurrency":8,`, "", 1))
			k.readers([]string{"7: info has no concurrency"})
		})
	s.check("C21", "without :workers 6.4.1 would show no job", six, "7 and 8 read :work",
		func(k *kase) {
			k.busy()
			k.process()
			var n int
			if k.ruby.Do(&n, `work.size`); n != 1 {
				k.Errorf("%d jobs", n)
			}
			k.Raw.Del(k.Context(), k.firstProcess()+":workers")
			if k.ruby.Do(&n, `work.size`); n != 0 {
				k.Errorf("%d jobs without :workers", n)
			}
		})
	s.check("C22", "five Go processes and a Ruby one count as six for both pollers", six, noRuby,
		func(k *kase) {
			for range 5 {
				k.worker()
			}
			k.Sidekiq("-q", "default")
			k.Until(10*time.Second, "six are registered", func() bool {
				return k.Raw.SCard(k.Context(), "processes").Val() == 6
			})
			n, err := k.Store.ProcessCount(k.Context())
			k.equal("ours", fmt.Sprint(n, err), "6 <nil>")
			var ruby []float64
			k.ruby.Do(&ruby, `require "sidekiq/scheduled"
			Sidekiq.options[:average_scheduled_poll_interval] ||= 5
			p = Sidekiq::Scheduled::Poller.new
			[p.send(:process_count), p.send(:scaled_poll_interval)]`)
			k.equal("Ruby's", ruby, "[6 30]")
		})
	s.check("C23", "after Redis was emptied the process is shown again, and counts go on", six,
		sameWire, func(k *kase) {
			w := k.worker()
			k.process()
			k.Raw.FlushAll(k.Context())
			k.Until(15*time.Second, "it is shown again",
				func() bool { return len(k.processes()) == 1 })
			k.push(recordPush, "")
			k.ran("run", 1)
			w.Stop()
			k.equal("processed", k.Raw.Get(k.Context(), "stat:processed").Val(), 1)
		})
	s.check("C24", "a queue in the set paused is left alone within seconds", all, "",
		func(k *kase) {
			w := k.worker("-q", "default")
			k.process()
			k.Raw.SAdd(k.Context(), "paused", "default")
			k.Until(10*time.Second, "it has heard", func() bool { return w.Says("paused queues") })
			k.push(recordPush, "record")
			info, err := inspect.New(k.Store).Queue(k.Context(), "default")
			k.equal("paused", fmt.Sprint(info.Paused, err), "true <nil>")
			k.equal("exit", w.Stop(), 0)
			k.equal("left", k.Len("default"), 1)
		})
	s.check("C25", "with dead_max_jobs 5, four dead jobs are kept, as Sidekiq keeps them", six,
		sameWire, func(k *kase) {
			w := k.Worker("-C", k.config("dead_max_jobs: 5\n"), "-c", "1")
			for range 8 {
				k.Push("Test::Zero", []any{"boom"}, queue.Options{Retry: queue.RetryMax(0)})
			}
			k.Until(10*time.Second, "all have died", func() bool {
				return strings.Count(w.Log(), "goes to the dead set") == 8 && k.InFlight() == 0
			})
			k.equal("dead", k.Card("dead"), 4)
		})
}

// rubyProcess is a process as Ruby's API reads it.
type rubyProcess struct {
	Identity    string
	Concurrency int
	Busy        int
	Queues      []string
	Labels      []string
	Tag         string
	Quiet       bool
}

func (k *kase) processes() (list []rubyProcess) {
	k.Helper()
	k.ruby.Do(&list, `processes`)
	return list
}

// process waits until Ruby sees exactly one process.
func (k *kase) process() (p rubyProcess) {
	k.Helper()
	k.Until(15*time.Second, "one process is shown", func() bool {
		list := k.processes()
		if len(list) == 1 {
			p = list[0]
		}
		return len(list) == 1
	})
	return p
}

func (k *kase) firstProcess() string { return k.Raw.SRandMember(k.Context(), "processes").Val() }

// busy starts a worker of 8 threads with one long job, and waits until its record
// shows it.
func (k *kase) busy() (jid string) {
	k.Helper()
	jid = k.Push("Test::Slow", []any{60_000}, queue.Options{})
	k.worker("-c", "8", "-g", "go-tag", "-q", "default", "-q", "push")
	k.Until(15*time.Second, "the record shows the job", func() bool {
		id := k.firstProcess()
		return id != "" && k.Raw.HGet(k.Context(), id, "busy").Val() == "1"
	})
	return jid
}

// readers reads the process's record as the Busy pages of 6, 7 and 8 do, and
// compares what they stumble over with want. The rules are those that real pages
// were seen to follow (docs/wire.md 9.3, 9.4 and 9.5).
func (k *kase) readers(want []string) {
	k.Helper()
	id := k.firstProcess()
	h := k.Raw.HGetAll(k.Context(), id).Val()
	var got []string
	bad := func(text string) { got = append(got, text) }
	var info map[string]any
	if json.Unmarshal([]byte(h["info"]), &info) != nil {
		bad("info is no JSON")
	}
	if f, ok := info["started_at"].(float64); !ok || f < 1e9 || f > 1e11 {
		bad("started_at is not in seconds")
	}
	if info["identity"] != id {
		bad("identity is not the member of processes")
	}
	if _, ok := info["queues"].([]any); !ok {
		bad("6: no queues")
	}
	if info["concurrency"] != 8.0 {
		bad("7: info has no concurrency")
	}
	if list, ok := info["weights"].([]any); !ok || len(list) == 0 {
		bad("7: weights are no array")
	}
	if h["concurrency"] != "8" {
		bad("8: " + strconv.Itoa(len(h["concurrency"])) + " threads")
	}
	capsules, _ := info["capsules"].(map[string]any)
	capsule, _ := capsules["default"].(map[string]any)
	if capsule["mode"] != "strict" || capsule["concurrency"] != 8.0 || capsule["weights"] == nil {
		bad("8: capsules")
	}
	if h["quiet"] != "false" || h["beat"] == "" || h["rss"] == "" || h["rtt_us"] == "" {
		bad("a field is missing")
	}
	for _, key := range []string{":workers", ":work"} {
		rows := k.Raw.HGetAll(k.Context(), id+key).Val()
		for _, text := range rows {
			var row struct {
				Queue   *string
				Payload *string
				RunAt   *int64 `json:"run_at"`
			}
			if json.Unmarshal([]byte(text), &row) != nil || row.Queue == nil ||
				row.Payload == nil || row.RunAt == nil {
				bad(key + ": " + text)
			}
		}
		if len(rows) != 1 {
			bad(fmt.Sprintf("%d rows in %s", len(rows), key))
		}
	}
	k.equal("what readers stumble over", got, fmt.Sprint(want))
}

func pages(k *kase) {
	jid := k.busy()
	k.Push("Test::Fail", []any{"boom <é>"}, queue.Options{})
	k.Push("Test::Zero", []any{"gone"}, queue.Options{Retry: queue.RetryMax(0)})
	k.Push("Test::Record", nil, queue.Options{At: time.Now().Add(time.Hour)})
	k.Push("Test::Record", nil, queue.Options{Queue: "pull"})
	k.Until(10*time.Second, "they have failed", func() bool {
		return k.Card("retry") == 1 && k.Card("dead") == 1
	})
	p := k.process()
	for path, want := range map[string][]string{
		"/": {""}, "/busy": {p.Identity, "go-tag", "Quiet", "Stop", jid, "8"}, "/queues": {"pull"},
		"/queues/pull": {"Test::Record"},
		"/retries":     {"boom &lt;é&gt;"}, "/morgue": {"gone"}, "/scheduled": {"Test::Record"},
		"/stats": {"processed"},
	} {
		got := k.ruby.Get(path)
		for _, text := range want {
			if got.Status != 200 || !strings.Contains(got.Body, text) {
				k.Errorf("%s: %d, without %q", path, got.Status, text)
			}
		}
	}
	var figures struct {
		Sidekiq struct {
			Processed, Failed, Busy, Processes, Enqueued, Scheduled, Retries,
			Dead int64
		}
	}
	k.Until(10*time.Second, "the counters are flushed", func() bool {
		if err := json.Unmarshal([]byte(k.ruby.Get("/stats").Body), &figures); err != nil {
			k.Fatal(err)
		}
		return figures.Sidekiq.Processed == 2
	})
	ours, err := inspect.New(k.Store).Stats(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	f := figures.Sidekiq
	k.equal("/stats", fmt.Sprint(f.Processed, f.Failed, f.Busy, f.Processes, f.Enqueued,
		f.Scheduled, f.Retries, f.Dead),
		fmt.Sprint(ours.Processed, ours.Failed, ours.Busy, ours.Processes, ours.Enqueued,
			ours.Scheduled, ours.Retries, ours.Dead))
}

func buttons(k *kase) {
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
	k.equal("waiting, dead, retries",
		fmt.Sprint(k.Len("default"), k.Card("dead"), k.Card("retry")), "1 1 0")
	j, err := envelope.ParseJob(k.raw("default")[0])
	if err != nil {
		k.Fatal(err)
	}
	k.equal("retry_count after the button", j.Field("retry_count"), -1)
	k.worker()
	j, _ = k.one("retry")
	k.equal("retry_count after one more failure", j.Field("retry_count"), 0)
	if j.Field("retried_at") == "" {
		k.Error("no retried_at: the failure was taken for the first")
	}
}

func metricsWritten(k *kase) {
	w := k.worker("-c", "1", "--sidekiq7-metrics")
	for range 5 {
		k.Push("Test::Sleep", []any{25}, queue.Options{})
	}
	k.Push("Test::Fail", []any{"x"}, queue.Options{})
	k.Push("Test::Fail", []any{"x"}, queue.Options{})
	k.Until(10*time.Second, "all have run", func() bool { return k.Waiting()+k.InFlight() == 0 })
	began := time.Now().UTC()
	w.Stop()
	// One flush, in this minute or, by bad luck, the next: by hand from the
	// formats of docs/wire.md 11.2.
	layouts := map[int][2]func(t time.Time) string{
		7: {func(t time.Time) string {
			return fmt.Sprintf("j|%s|%d:%d", t.Format("20060102"), t.Hour(), t.Minute())
		},
			func(t time.Time) string {
				return fmt.Sprintf("Test::Sleep-%02d-%02d:%d", t.Day(), t.Hour(), t.Minute())
			}},
		8: {func(t time.Time) string {
			return fmt.Sprintf("j|%s|%d:%02d", t.Format("060102"), t.Hour(), t.Minute())
		},
			func(t time.Time) string {
				return fmt.Sprintf("h|Test::Sleep-%d-%d:%d", t.Day(), t.Hour(), t.Minute())
			}},
	}
	minute, histogram := "", ""
	for _, t := range []time.Time{began.Add(-time.Minute), began, began.Add(time.Minute)} {
		if key := layouts[k.v][0](t); k.Raw.Exists(k.Context(), key).Val() == 1 {
			minute, histogram = key, layouts[k.v][1](t)
		}
	}
	h := k.Raw.HGetAll(k.Context(), minute).Val()
	k.equal("counts", []string{h["Test::Sleep|p"], h["Test::Sleep|f"], h["Test::Fail|p"],
		h["Test::Fail|f"], h["Test::Fail|ms"]}, "[5  2 2 ]")
	if ms, _ := strconv.Atoi(h["Test::Sleep|ms"]); ms < 125 || ms > 5000 {
		k.Errorf("ms %s", h["Test::Sleep|ms"])
	}
	sum := int64(0)
	for i := range 26 {
		n, err := k.Raw.Do(k.Context(), "BITFIELD_RO", histogram, "GET", "u16",
			fmt.Sprintf("#%d", i)).Int64Slice()
		if err != nil {
			k.Fatal(err)
		}
		sum += n[0]
	}
	k.equal("histogram", sum, 5)
	ttl := map[string]float64{minute: 28_800, histogram: 28_800}
	if k.v == 8 {
		ttl[minute[:len(minute)-1]] = 259_200
	}
	for key, want := range ttl {
		if got := k.Raw.TTL(k.Context(), key).Val().Seconds(); got < want-60 || got > want {
			k.Errorf("%s is kept for %v s, want %v", key, got, want)
		}
	}
}
