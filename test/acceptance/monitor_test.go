package acceptance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape asks a worker over its unix socket.
func scrape(s *harness.Site, socket, path string) (code int, body string) {
	s.Helper()
	client := &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			}}}
	r, err := client.Get("http://worker" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// total sums a counter or gauge over the series whose labels have these values.
func total(s *harness.Site, page, name string, labels map[string]string) (sum float64) {
	s.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		s.Fatal(err)
	}
	for _, m := range families[name].GetMetric() {
		if matches(m, labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func matches(m *dto.Metric, labels map[string]string) bool {
	got := map[string]string{}
	for _, l := range m.GetLabel() {
		got[l.GetName()] = l.GetValue()
	}
	for name, want := range labels {
		if got[name] != want {
			return false
		}
	}
	return true
}

func TestAScrapeUnderLoadEqualsTheLedger(t *testing.T) {
	s := harness.New(t)
	socket := filepath.Join(s.Dir, "http")
	s.Worker("-c", "10", "--log-level", "warn", "--http", "unix:"+socket)
	for i := range 2000 {
		s.Push("Test::Ledger", []any{s.LedgerPath(), fmt.Sprint(i), 0},
			queue.Options{Queue: fourQueues[i%4]})
		if i%20 == 0 {
			s.Push("Test::Fail", []any{"x"}, queue.Options{Queue: "push"})
			s.Push("Test::Fail", []any{"x"}, queue.Options{Queue: "push", Retry: queue.RetryMax(0)})
			s.Push("Test::Fail", []any{"x"}, queue.Options{Queue: "push", Retry: queue.NeverRetry})
			s.Push("Nobody", nil, queue.Options{Queue: "pull"})
		}
		if i == 1000 {
			if code, page := scrape(s, socket, "/metrics"); code != 200 ||
				total(s, page, "kyu_threads", nil) != 10 {
				t.Errorf("under load: %d %.500s", code, page)
			}
		}
	}
	s.Settled(20 * time.Second)
	code, page := scrape(s, socket, "/metrics")
	_, ends, _ := s.Ledger()
	if code != 200 || len(ends) != 2000 {
		t.Fatalf("%d, %d ended", code, len(ends))
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"kyu_jobs_total", map[string]string{"class": "Test::Ledger", "outcome": "done"}, 2000},
		{"kyu_jobs_total", map[string]string{"class": "Test::Ledger", "queue": "mailers"}, 500},
		{"kyu_jobs_total", map[string]string{"class": "Test::Fail", "outcome": "retry"}, 100},
		{"kyu_jobs_total", map[string]string{"class": "Test::Fail", "outcome": "dead"}, 100},
		{"kyu_jobs_total", map[string]string{"class": "Test::Fail", "outcome": "dropped"}, 100},
		{"kyu_jobs_total", map[string]string{"class": "(unknown)", "outcome": "retry"}, 100},
		{"kyu_jobs_total", map[string]string{}, 2400},
		{"kyu_job_run_seconds", map[string]string{"class": "Test::Ledger"}, 2000},
		{"kyu_job_wait_seconds", map[string]string{}, 2400},
		{"kyu_fleet_set_jobs", map[string]string{"set": "retry"}, 200},
		{"kyu_fleet_set_jobs", map[string]string{"set": "dead"}, 100},
		{"kyu_fleet_queue_length", map[string]string{}, 0},
		{"kyu_redis_up", nil, 1}, {"kyu_ready", nil, 1}, {"kyu_redis_errors_total", nil, 0},
	} {
		if got := total(s, page, c.name, c.labels); got != c.want {
			t.Errorf("%s %v: %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}

func TestReadyTellsWhetherJobsAreTakenAndLiveWhetherItTurns(t *testing.T) {
	s := harness.New(t)
	socket := filepath.Join(s.Dir, "http")
	w := s.Worker("-c", "2", "--http", "unix:"+socket)
	answers := func(path string, want int, text string) func() bool {
		return func() bool {
			code, body := scrape(s, socket, path)
			return code == want && strings.Contains(body, text)
		}
	}
	s.Until(10*time.Second, "it is ready", answers("/readyz", 200, "ok"))
	s.OK("ok", "health", "--http", "unix:"+socket)
	if out, code := s.Ctl("", "health", "--http", "unix:"+socket+"x"); code != 1 {
		t.Errorf("health of nobody: exit %d, %s", code, out)
	}
	s.Server.Kill()
	s.Until(10*time.Second, "it is not ready without Redis",
		answers("/readyz", 503, "redis does not serve us"))
	if !answers("/livez", 200, "ok")() || !answers("/metrics", 200, "kyu_redis_up 0")() {
		t.Error("it is not alive without Redis, or does not say that Redis is away")
	}
	s.Server.Restart()
	s.Until(15*time.Second, "it is ready again", answers("/readyz", 200, "ok"))
	_, page := scrape(s, socket, "/metrics")
	if total(s, page, "kyu_redis_errors_total", nil) < 1 ||
		total(s, page, "kyu_redis_outage_seconds_total", nil) <= 0 {
		t.Error("the outage was not counted")
	}
	s.Push("Test::Sleep", []any{5000}, queue.Options{})
	s.Until(10*time.Second, "a thread is busy", answers("/metrics", 200, "\nkyu_threads_busy 1\n"))
	w.Signal(syscall.SIGTSTP)
	s.Until(10*time.Second, "quiet is not ready", answers("/readyz", 503, "quiet"))
	if code := w.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestTooMuchMemoryDrainsAndExitsWithThree(t *testing.T) {
	s := harness.New(t)
	w := s.Worker("-c", "2", "--max-rss", "5M")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 300}, queue.Options{})
	if code := w.Exit(20 * time.Second); code != 3 || !w.Says("too much memory") {
		t.Errorf("exit code %d", code)
	}
	if starts, ends, _ := s.Ledger(); starts["x"] != ends["x"] || s.InFlight() != 0 {
		t.Error("it did not drain")
	}
}

func TestThePoolOfConnectionsIsInTheMetrics(t *testing.T) {
	s := harness.New(t)
	url := pgtest.Start(t)
	socket := filepath.Join(s.Dir, "http")
	s.WorkerWith([]string{"DATABASE_URL=" + url}, "-c", "4", "--http", "unix:"+socket)
	for range 3 {
		s.Push("Test::DB", []any{60_000}, queue.Options{})
	}
	s.Until(15*time.Second, "three connections are in use", func() bool {
		_, page := scrape(s, socket, "/metrics")
		return strings.Contains(page, "kyu_pg_pool_acquired 3") &&
			strings.Contains(page, "kyu_pg_pool_max 4")
	})
}

func TestTheWatchdogIsFedWhileRedisHangs(t *testing.T) {
	s := harness.New(t)
	path := filepath.Join(s.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.Start("env", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=10000000",
		filepath.Join(harness.Bin, "worker"), "-c", "2")
	hear := func(limit time.Duration, text string) bool {
		b := make([]byte, 4096)
		conn.SetReadDeadline(time.Now().Add(limit))
		for {
			n, err := conn.Read(b)
			if err != nil {
				return false
			}
			if strings.Contains(string(b[:n]), text) {
				return true
			}
		}
	}
	if !hear(10*time.Second, "READY=1") {
		t.Fatal("not ready")
	}
	if err := syscall.Kill(s.Server.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(s.Server.PID(), syscall.SIGCONT)
	if !hear(20*time.Second, "; Redis: ") {
		t.Error("STATUS does not say that Redis is away")
	}
	for began := time.Now(); time.Since(began) < 15*time.Second; {
		if !hear(5*time.Second, "WATCHDOG=1") { // half of what the unit allows
			t.Fatal("the watchdog is not fed while Redis hangs")
		}
	}
}
