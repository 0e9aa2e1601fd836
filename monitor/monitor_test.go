package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/worker"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
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

func TestAWorkerThatStartsIsAliveButNotReady(t *testing.T) {
	store := redistest.Start(t).Store()
	m := monitor.New(store)
	if code, text := get(t, m, "/livez"); code != 200 || text != "ok\n" {
		t.Errorf("/livez: %d %s", code, text)
	}
	if code, text := get(t, m, "/readyz"); code != 503 || text != "starting\n" {
		t.Errorf("/readyz: %d %s", code, text)
	}
	r, err := worker.New(store, worker.Config{Mux: worker.NewMux(),
		Capsules: []worker.Capsule{{Concurrency: 2, Queues: []worker.QueueWeight{{Name: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(r)
	if code, _ := get(t, m, "/livez"); code != 200 {
		t.Errorf("/livez before it runs: %d", code)
	}
	if code, text := get(t, m, "/readyz"); code != 503 || !strings.Contains(text, "no beat") {
		t.Errorf("/readyz before it runs: %d %s", code, text)
	}
	if code, text := get(t, m, "/metrics"); code != 200 ||
		!strings.Contains(text, "\nkyu_threads 2\n") || !strings.Contains(text, "\nkyu_ready 0\n") {
		t.Errorf("/metrics: %d %.2000s", code, text)
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	m := monitor.New(redistest.Start(t).Store())
	m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeDone, Waited: time.Second,
		Ran: 2 * time.Second})
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
}

func TestAddressesThatOthersCanReachAreRefused(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:0": true, "localhost:1": true,
		"[::1]:1": true, "unix:/x": true, "127.9.9.9:1": true,
		":9394": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "example.com:1": false,
		"unix:x": false, "nonsense": false} {
		if err := monitor.CheckAddress(address, false); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := monitor.CheckAddress("0.0.0.0:1", true); err != nil {
		t.Error(err)
	}
}

func TestASocketOfADeadProcessIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http")
	first, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := monitor.Listen("unix:"+path, false); err == nil ||
		!strings.Contains(err.Error(), "an address of its own") {
		t.Errorf("a live socket was taken: %v", err)
	}
	first.SetUnlinkOnClose(false)
	first.Close()
	l, err := monitor.Listen("unix:"+path, false)
	if err != nil {
		t.Fatal(err)
	}
	m := monitor.New(redistest.Start(t).Store())
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- m.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
	r, err := client.Get("http://worker/livez")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	cancel()
	if err := <-ended; err != nil || r.StatusCode != 200 {
		t.Error(r.StatusCode, err)
	}
}

// TestRulesDashboardAndDocumentationNameRealMetrics holds the files beside the
// code to it.
func TestRulesDashboardAndDocumentationNameRealMetrics(t *testing.T) {
	store := redistest.Start(t).Store()
	m := monitor.New(store)
	r, err := worker.New(store, worker.Config{Mux: worker.NewMux(),
		Capsules: []worker.Capsule{{Concurrency: 1, Queues: []worker.QueueWeight{{Name: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(r)
	m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeDone})
	m.Fetched(time.Millisecond, 1, nil)
	if _, err := queue.NewClient(store).Push(t.Context(), "A", nil, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, m, "/metrics")
	real := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (kyu_\w+) `).
		FindAllStringSubmatch(page, -1) {
		real[match[1]] = true
	}
	text := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	manual := text("../docs/operations.md")
	for name := range real {
		if !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
	for _, path := range []string{"../docs/operations.md", "../deploy/prometheus/kyu.rules.yml",
		"../deploy/grafana/kyu.json"} {
		for _, name := range regexp.MustCompile(`\bkyu_\w+`).FindAllString(text(path), -1) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !real[base] && !strings.HasPrefix(base, "kyu_pg_") && base != "kyu_fleet_" {
				t.Errorf("%s names %s, which is no metric", path, name)
			}
		}
	}
	if !json.Valid([]byte(text("../deploy/grafana/kyu.json"))) {
		t.Error("the dashboard is no JSON")
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Record, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(text("../deploy/prometheus/kyu.rules.yml")),
		&rules); err != nil || len(rules.Groups) != 1 {
		t.Fatal(err)
	}
	for _, rule := range rules.Groups[0].Rules {
		if rule.Expr == "" || (rule.Alert == "") == (rule.Record == "") {
			t.Errorf("%+v", rule)
		}
	}
	if promtool, err := exec.LookPath("promtool"); err != nil {
		t.Log("promtool is not installed: the rules were read as YAML only")
	} else if out, err := exec.Command(promtool, "check", "rules",
		"../deploy/prometheus/kyu.rules.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestMonitorInARegistry(t *testing.T) {
	t.Run("its figures are among those of the program", func(t *testing.T) {
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
			t.Errorf("has %v, want kyu_jobs_total, and not the program's own", there)
		}
	})
}
