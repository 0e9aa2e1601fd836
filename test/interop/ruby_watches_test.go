package interop

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// rubyWatches are the cases in which Ruby shows and controls Go's processes and jobs.
var rubyWatches = []row{
	{id: "C01", says: "the process is shown with its threads, queues and busy job", with: all,
		run: testC01Process},
	{id: "C02", says: "the running job is shown with its thread, queue, start time and payload",
		with: all, run: testC02Work},
	{id: "C03", says: "the web pages show process and jobs, and their numbers are those of Redis",
		with: all, ruby: noRuby, run: testC03Pages},
	{id: "C04", says: "sidekiqmon lists the process", with: all, ruby: noRuby, run: testC04Monitor},
	{id: "C05", says: "the page's button Quiet: the worker takes no more jobs and is shown as " +
		"quiet", with: all, ruby: noRuby, run: testC05QuietButton},
	{id: "C06", says: "the page's button Stop: the job ends, and the page no longer shows the " +
		"process", with: all, ruby: noRuby, run: testC06StopButton},
	{id: "C07", says: "a stop during a long job puts the same bytes back, as the next job of its " +
		"queue", with: all, ruby: noRuby, run: testC07LongJob},
	{id: "C08", says: "dump_threads: the log has all stacks, and the worker continues", with: all,
		ruby: noRuby, run: testC08DumpThreads},
	{id: "C09", says: "the page's button Quiet all quiets a Go and a Ruby process", with: all,
		ruby: noRuby, run: testC09QuietAll},
	{id: "C10", says: "the record of a killed process expires, and Ruby no longer lists it",
		with: all, ruby: noRuby, run: testC10Killed},
	{id: "C11", says: "the page retries, kills and deletes Go's retries; retry_count goes down " +
		"by one and up again", with: all, ruby: sameWire, run: testC11RetryButtons},
	{id: "C12", says: "the page's button Retry all gives dead jobs to a Go worker again", with: all,
		ruby: sameWire, run: testC12RetryAll},
	{id: "C13", says: "Ruby's API finds Go's retries by jid, text and score, and deletes exactly " +
		"one", with: all, ruby: sameWire, run: testC13Search},
	{id: "C14", says: "the page's button Delete removes Go's job from a queue, by the bytes that " +
		"it shows", with: all, ruby: sameWire, run: testC14DeleteButton},
	{id: "C15", says: "Ruby's history shows the day's counters, which are kept for five years",
		with: all, ruby: sameWire, run: testC15History},
	{id: "C16", says: "metrics are in the keys that the pages of 7 and 8 read, and expire as there",
		with: later, why: notIn6, run: testC16Metrics},
	{id: "C17", says: "two marks of one deploy within a minute are one mark, at the full minute",
		with: later, why: notIn6, run: testC17Deploys},
	{id: "C18", says: "the page shows a process with dots and dashes in its host name, with " +
		"labels and without a tag", with: all, ruby: sameWire, run: testC18HostName},
	{id: "C19", says: "without the hash field concurrency, 8 would show no threads", with: eight,
		why: "6 and 7 read concurrency from info", run: testC19HashField},
	{id: "C20", says: "without concurrency in info, the Busy page of 7 would fail", with: seven,
		why: "6 shows 0 threads, 8 reads the hash field", run: testC20Info},
	{id: "C21", says: "without :workers, 6.4.1 would show no job", with: six,
		why: "7 and 8 read :work", run: testC21Workers},
	{id: "C22", says: "five Go processes and a Ruby process count as six for both pollers",
		with: all, ruby: noRuby, run: testC22ProcessCount},
	{id: "C23", says: "after Redis was emptied, the process is shown again and the counters " +
		"continue", with: all, ruby: sameWire, run: testC23Emptied},
	{id: "C24", says: "within seconds, no job is taken from a queue in the set paused", with: all,
		run: testC24Paused},
	{id: "C25", says: "dead_max_jobs 5: four dead jobs are kept, as in Sidekiq", with: all,
		ruby: sameWire, run: testC25DeadMax},
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
	k.Until(15*time.Second, "Ruby sees one process", func() bool {
		list := k.processes()
		if len(list) == 1 {
			p = list[0]
		}
		return len(list) == 1
	})
	return p
}

// firstProcess is the identity of one registered process, empty if there is none.
func (k *kase) firstProcess() string { return k.Raw.SRandMember(k.Context(), "processes").Val() }

// registered waits for a process and returns its identity.
func (k *kase) registered() (id string) {
	k.Helper()
	k.Until(10*time.Second, "the process is registered", func() bool {
		id = k.firstProcess()
		return id != ""
	})
	return id
}

// busy starts a worker of 8 threads with one long job, and waits until its record shows the job.
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

func testC01Process(k *kase) {
	k.busy()
	k.readers()
	if k.real {
		p := k.process()
		if !regexp.MustCompile(`^[\w.-]+:\d+:[0-9a-f]{12}$`).MatchString(p.Identity) {
			k.Errorf("identity %q", p.Identity)
		}
		k.Equal("process in Ruby", fmt.Sprint(p.Concurrency, p.Busy, p.Queues, p.Quiet),
			"8 1 [default push] false")
	}
}

func testC02Work(k *kase) {
	jid := k.busy()
	k.readers()
	if !k.real {
		return
	}
	var work []struct {
		TID, Queue, JID string
		RunAt           int64 `json:"run_at"`
	}
	k.ruby.Do(&work, `work`)
	k.Equal("running jobs in Ruby", len(work), 1)
	for _, w := range work {
		k.Equal("queue, jid", w.Queue+" "+w.JID, "default "+jid)
		if w.TID == "" {
			k.Error("the job has no thread")
		}
		harness.Between(k, "time since its start", time.Since(time.Unix(w.RunAt, 0)),
			-time.Minute, time.Minute)
	}
}

func testC03Pages(k *kase) {
	jid := k.busy()
	k.Push("Test::Fail", []any{"boom <é>"}, queue.Options{})
	k.Push("Test::Zero", []any{"gone"}, queue.Options{Retry: queue.RetryMax(0)})
	k.Push("Test::Record", nil, queue.Options{At: time.Now().Add(time.Hour)})
	k.Push("Test::Record", nil, queue.Options{Queue: "pull"})
	k.Until(10*time.Second, "two jobs have failed", func() bool {
		return k.Card("retry") == 1 && k.Card("dead") == 1
	})
	p := k.process()
	for path, parts := range map[string][]string{
		"/": nil, "/busy": {p.Identity, "go-tag", "Quiet", "Stop", jid, "8"}, "/queues": {"pull"},
		"/queues/pull": {"Test::Record"},
		"/retries":     {"boom &lt;é&gt;"}, "/morgue": {"gone"}, "/scheduled": {"Test::Record"},
		"/stats": {"processed"},
	} {
		k.ruby.Shows(path, parts...)
	}
	var figures struct {
		Sidekiq struct {
			Processed, Failed, Busy, Processes, Enqueued, Scheduled, Retries, Dead int64
		}
	}
	k.Until(10*time.Second, "the counters are in Redis", func() bool {
		k.Must(json.Unmarshal([]byte(k.ruby.Get("/stats").Body), &figures))
		return figures.Sidekiq.Processed == 2
	})
	ours, err := inspect.New(k.Store).Stats(k.Context())
	k.Must(err)
	f := figures.Sidekiq
	k.Equal("/stats", fmt.Sprint(f.Processed, f.Failed, f.Busy, f.Processes, f.Enqueued,
		f.Scheduled, f.Retries, f.Dead),
		fmt.Sprint(ours.Processed, ours.Failed, ours.Busy, ours.Processes, ours.Enqueued,
			ours.Scheduled, ours.Retries, ours.Dead))
}

func testC04Monitor(k *kase) {
	k.busy()
	k.process()
	k.Contains("sidekiqmon", k.Sidekiqmon(), "Processes (1)", "Threads: 8 (1 busy)",
		"default, push")
}

func testC18HostName(k *kase) {
	file := k.config("labels: [reliable, \"é<b>\"]\n")
	k.Start("env", "DYNO=web-1.example.com", filepath.Join(harness.Bin, "worker"), "-C", file)
	p := k.process()
	if !strings.HasPrefix(p.Identity, "web-1.example.com:") {
		k.Errorf("identity %q", p.Identity)
	}
	k.Equal("labels", p.Labels, "[reliable é<b>]")
	k.ruby.Shows("/busy")
}

func testC19HashField(k *kase) {
	k.busy()
	k.readers()
	k.Raw.HDel(k.Context(), k.firstProcess(), "concurrency")
	k.readers("8: 0 threads")
	if k.real {
		var threads int
		k.ruby.Do(&threads, `Sidekiq::ProcessSet.new.total_concurrency`)
		k.Equal("threads in Ruby", threads, 0)
	}
}

func testC20Info(k *kase) {
	k.busy()
	id := k.firstProcess()
	info := k.Raw.HGet(k.Context(), id, "info").Val()
	// This removes the number of the process, and leaves that of its capsule.
	k.Raw.HSet(k.Context(), id, "info", strings.Replace(info, `"concurrency":8,`, "", 1))
	k.readers("7: info has no concurrency")
	if k.real {
		k.ruby.Fails(`get("/busy")`)
	}
}

func testC21Workers(k *kase) {
	k.busy()
	k.process()
	var n int
	k.ruby.Do(&n, `work.size`)
	k.Equal("jobs", n, 1)
	k.Raw.Del(k.Context(), k.firstProcess()+":workers")
	k.ruby.Do(&n, `work.size`)
	k.Equal("jobs without :workers", n, 0)
}

func testC22ProcessCount(k *kase) {
	for range 5 {
		k.worker()
	}
	k.Sidekiq("-q", "default")
	k.Until(10*time.Second, "six processes are registered", func() bool {
		return k.Raw.SCard(k.Context(), "processes").Val() == 6
	})
	n, err := k.Store.ProcessCount(k.Context())
	k.Must(err)
	k.Equal("processes in Go", n, 6)
	var ruby []float64
	k.ruby.Do(&ruby, `require "sidekiq/scheduled"
		SETTINGS[:average_scheduled_poll_interval] ||= 5
		new = Sidekiq::Scheduled::Poller.instance_method(:initialize).arity == 0 ? [] : [SETTINGS]
		p = Sidekiq::Scheduled::Poller.new(*new)
		n = p.send(:process_count)
		scaled = p.method(:scaled_poll_interval)
		[n, scaled.call(*[n].first(scaled.arity))]`)
	k.Equal("processes and poll interval in Ruby", ruby, "[6 30]")
}
