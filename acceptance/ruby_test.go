package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

type rubyProcess struct {
	Identity    string
	Concurrency int
	Busy        int
	Queues      []string
	Tag         string
	Quiet       bool
}

type rubyEntry struct {
	JID, Class, Queue string
	At                float64
	ErrorClass        string   `json:"error_class"`
	ErrorMessage      string   `json:"error_message"`
	RetryCount        *int     `json:"retry_count"`
	FailedAt          float64  `json:"failed_at"`
	Backtrace         []string `json:"backtrace"`
	SameBytes         bool     `json:"same_bytes"`
}

func TestRubysAPIAndWebPageShowAndControlTheWorker(t *testing.T) {
	s := newSite(t)
	r := s.ruby()
	w := s.worker("-c", "8", "-g", "go-tag", "-q", "default", "-q", "push")
	var jids []string
	r.ask(&jids, map[string]any{"op": "push", "jobs": [][]any{
		{"default", "Test::Sleep", []any{9000}},
		{"default", "Test::Fail", []any{"boom <é>"}},
		{"push", "Test::NoOp", []any{1, 2.5, "é<b>&", nil}},
		{"pull", "Test::NoOp", []any{}}, // nobody serves it
	}})
	s.push("Test::Fail", []any{"dead <é>"}, queue.Options{Retry: queue.RetryMax(0)})
	s.push("Test::NoOp", []any{1.0, "é<b>&\u2028"}, queue.Options{At: time.Now().Add(time.Hour)})
	s.until(10*time.Second, "failed", func() bool { return s.card("retry") == 1 && s.card("dead") == 1 })

	var processes []rubyProcess
	s.until(10*time.Second, "the process is shown with its busy job", func() bool {
		r.ask(&processes, map[string]any{"op": "processes"})
		return len(processes) == 1 && processes[0].Busy == 1
	})
	p := processes[0]
	if p.Concurrency != 8 || p.Tag != "go-tag" || strings.Join(p.Queues, ",") != "default,push" || p.Quiet {
		t.Errorf("process %+v", p)
	}
	var work []struct {
		Process, TID, Queue, JID string
		RunAt                    float64 `json:"run_at"`
	}
	r.ask(&work, map[string]any{"op": "work"})
	if len(work) != 1 || work[0].JID != jids[0] || work[0].TID == "" || work[0].Process != p.Identity {
		t.Errorf("work %+v", work)
	}
	var retries, dead, scheduled []rubyEntry
	r.ask(&retries, map[string]any{"op": "retries"})
	r.ask(&dead, map[string]any{"op": "dead"})
	r.ask(&scheduled, map[string]any{"op": "scheduled"})
	if len(retries) != 1 || retries[0].JID != jids[1] || *retries[0].RetryCount != 0 || retries[0].ErrorMessage != "boom <é>" || len(retries[0].Backtrace) == 0 {
		t.Errorf("retries %+v", retries)
	}
	if d := time.Since(time.UnixMilli(int64(retries[0].FailedAt * 1000))); d < 0 || d > time.Minute {
		t.Errorf("failed %v ago", d)
	}
	if len(dead) != 1 || dead[0].ErrorMessage != "dead <é>" || len(scheduled) != 1 {
		t.Errorf("dead %+v, scheduled %+v", dead, scheduled)
	}
	for _, e := range append(append(retries, dead...), scheduled...) {
		if !e.SameBytes {
			t.Errorf("%s: Ruby would write other bytes", e.JID)
		}
	}
	var size int
	if r.ask(&size, map[string]any{"op": "reschedule"}); size != 1 {
		t.Errorf("a reschedule made %d entries of one", size) // trap 4 of sidekiq-wire 0.1
	}
	webPages(t, r, p)
	statsAgree(t, s, r)
	quietAndStop(t, s, r, w, p)
}

type page struct {
	Status int
	Body   string
}

func webPages(t *testing.T, r *ruby, p rubyProcess) {
	t.Helper()
	for path, want := range map[string]string{
		"/": "", "/busy": p.Identity, "/queues": "push", "/queues/pull": "Test::NoOp", "/retries": "boom", "/morgue": "dead", "/scheduled": "Test::NoOp", "/stats": "processed",
	} {
		var got page
		r.ask(&got, map[string]any{"op": "get", "path": path})
		if got.Status != 200 || !strings.Contains(got.Body, want) {
			t.Errorf("%s: %d, with %q: %v", path, got.Status, want, strings.Contains(got.Body, want))
		}
	}
}

func statsAgree(t *testing.T, s *site, r *ruby) {
	t.Helper()
	var ruby struct{ Processed, Failed, Retries, Dead, Scheduled, Enqueued int64 }
	s.until(10*time.Second, "the counters are flushed", func() bool {
		r.ask(&ruby, map[string]any{"op": "stats"})
		return ruby.Processed >= 3
	})
	ours, err := s.store.Stats(t.Context())
	if err != nil || ruby.Failed != 2 || ours.Processed != ruby.Processed || ours.Retries != ruby.Retries || ours.Dead != ruby.Dead || ours.Scheduled != ruby.Scheduled || ours.Enqueued != ruby.Enqueued {
		t.Errorf("ours %+v, Ruby's %+v, %v", ours, ruby, err)
	}
	var history struct{ Processed, Failed []int64 }
	r.ask(&history, map[string]any{"op": "history"})
	if len(history.Processed) != 1 || history.Processed[0] != ruby.Processed || history.Failed[0] != 2 {
		t.Errorf("history %+v", history)
	}
}

func quietAndStop(t *testing.T, s *site, r *ruby, w *process, p rubyProcess) {
	t.Helper()
	var got page
	r.ask(&got, map[string]any{"op": "post", "path": "/busy", "params": map[string]any{"identity": p.Identity, "quiet": "1"}})
	if got.Status != 302 {
		t.Errorf("quiet: %d", got.Status)
	}
	var processes []rubyProcess
	s.until(15*time.Second, "it is shown as quiet", func() bool {
		r.ask(&processes, map[string]any{"op": "processes"})
		return len(processes) == 1 && processes[0].Quiet
	})
	s.push("Test::NoOp", nil, queue.Options{Queue: "push"})
	r.ask(&got, map[string]any{"op": "post", "path": "/busy", "params": map[string]any{"identity": p.Identity, "stop": "1"}})
	if code := w.exit(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if r.ask(&processes, map[string]any{"op": "processes"}); len(processes) != 0 {
		t.Errorf("still shown: %+v", processes)
	}
	if s.raw.LLen(t.Context(), "queue:push").Val() != 1 {
		t.Error("took a job after it was quiet")
	}
}
