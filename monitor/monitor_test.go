package monitor_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/worker"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, m *monitor.Monitor, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

// watched makes a Monitor of a worker that has not been started, with concurrency threads
// for the queue a.
func watched(t *testing.T, store *queue.Store, concurrency int) *monitor.Monitor {
	t.Helper()
	m := monitor.New(store)
	r, err := worker.New(store, worker.Config{Mux: worker.NewMux(), Capsules: []worker.Capsule{
		{Concurrency: concurrency, Queues: []worker.QueueWeight{{Name: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(r)
	return m
}

// want checks the status of an answer, and a part of its text.
func want(t *testing.T, m *monitor.Monitor, path string, status int, part string) {
	t.Helper()
	if code, text := get(t, m, path); code != status || !strings.Contains(text, part) {
		t.Errorf("%s: %d %.2000s, want %d with %q", path, code, text, status, part)
	}
}

func TestState(t *testing.T) {
	store := redistest.Start(t).Store()
	t.Run("without a worker: alive, not ready", func(t *testing.T) {
		m := monitor.New(store)
		want(t, m, "/livez", 200, "ok\n")
		want(t, m, "/readyz", 503, "starting\n")
	})
	t.Run("of a worker that starts: alive, not ready", func(t *testing.T) {
		m := watched(t, store, 2)
		want(t, m, "/livez", 200, "ok\n")
		want(t, m, "/readyz", 503, "no heartbeat")
		want(t, m, "/metrics", 200, "\nkyu_threads 2\n")
		want(t, m, "/metrics", 200, "\nkyu_ready 0\n")
	})
}

func TestMetrics(t *testing.T) {
	t.Run("count jobs, fetches, settlements and reclaims", func(t *testing.T) {
		m := monitor.New(redistest.Start(t).Store())
		m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeDone,
			Waited: time.Second, Ran: 2 * time.Second})
		m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeRetry})
		m.Fetched(time.Millisecond, 3, nil)
		m.Fetched(time.Millisecond, 0, nil)
		m.Fetched(time.Millisecond, 0, errors.New("away"))
		m.Settled(time.Millisecond, 7, nil)
		m.Settled(time.Millisecond, 7, errors.New("away"))
		m.Reclaimed(2, 1)
		_, text := get(t, m, "/metrics")
		for _, want := range []string{
			`kyu_jobs_total{class="A",outcome="done",queue="a"} 1`,
			`kyu_jobs_total{class="A",outcome="retry",queue="a"} 1`,
			`kyu_job_wait_seconds_sum{class="A",queue="a"} 1`,
			`kyu_job_run_seconds_sum{class="A",queue="a"} 2`,
			`kyu_fetches_total{result="jobs"} 1`, `kyu_fetches_total{result="empty"} 1`,
			`kyu_fetches_total{result="error"} 1`,
			`kyu_fetched_jobs_total 3`, `kyu_settle_batch_jobs_sum 7`, `kyu_settle_seconds_count 2`,
			`kyu_reclaimed_jobs_total 2`, `kyu_poisoned_jobs_total 1`,
		} {
			if !strings.Contains(text, "\n"+want+"\n") {
				t.Errorf("no %s", want)
			}
		}
	})
}

func TestMonitorInARegistry(t *testing.T) {
	t.Run("of the program holds its metrics", func(t *testing.T) {
		m, registry := monitor.New(redistest.Start(t).Store()), prometheus.NewPedanticRegistry()
		if err := registry.Register(m); err != nil {
			t.Fatal(err)
		}
		m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeDone})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, f := range families {
			there[f.GetName()] = true
		}
		if !there["kyu_jobs_total"] || there["go_goroutines"] {
			t.Errorf("%v: want kyu_jobs_total, and not go_goroutines", there)
		}
	})
}
