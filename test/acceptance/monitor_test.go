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

func TestMonitor(t *testing.T) {
	t.Parallel()
	beside(t, "a scrape under load has the figures of the ledger", testScrape)
	beside(t, "readyz says whether jobs are taken, livez whether the loops turn", testReady)
	beside(t, "the metrics have the pool of connections", testPoolMetrics)
	beside(t, "the watchdog gets its messages while Redis hangs", testWatchdog)
}

// socket is where the worker's HTTP server listens.
func socket(s *harness.Site) string { return filepath.Join(s.Dir, "http") }

// scrape gets a page of a worker over its unix socket.
func scrape(s *harness.Site, path string) (code int, body string) {
	s.Helper()
	client := &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket(s))
			}}}
	r, err := client.Get("http://worker" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	s.Must(err)
	return r.StatusCode, string(b)
}

// total is the sum of a metric over the series whose labels have these values.
func total(s *harness.Site, page, name string, labels map[string]string) (sum float64) {
	s.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	s.Must(err)
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

// pushLoad pushes 2,000 ledger jobs to the four queues and 400 jobs that fail. Half-way it
// scrapes the worker.
func pushLoad(s *harness.Site) {
	s.Helper()
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
			code, page := scrape(s, "/metrics")
			s.Equal("status under load", code, 200)
			s.Equal("threads under load", total(s, page, "kyu_threads", nil), 10)
		}
	}
}

func testScrape(s *harness.Site) {
	s.Worker("-c", "10", "--log-level", "warn", "--http", "unix:"+socket(s))
	pushLoad(s)
	s.Settled(20 * time.Second)
	code, page := scrape(s, "/metrics")
	s.Equal("status", code, 200)
	_, ends, _ := s.Ledger()
	s.Equal("jobs that ended", len(ends), 2000)
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
		s.Equal(fmt.Sprint(c.name, c.labels), total(s, page, c.name, c.labels), c.want)
	}
}

func testReady(s *harness.Site) {
	w := s.Worker("-c", "2", "--http", "unix:"+socket(s))
	answers := func(path string, want int, text string) func() bool {
		return func() bool {
			code, body := scrape(s, path)
			return code == want && strings.Contains(body, text)
		}
	}
	s.Until(10*time.Second, "it is ready", answers("/readyz", 200, "ok"))
	s.OK("ok", "health", "--http", "unix:"+socket(s))
	s.Exits(1, "", "health", "--http", "unix:"+socket(s)+"x")
	s.Server.Kill()
	s.Until(10*time.Second, "it is not ready without Redis",
		answers("/readyz", 503, "redis does not serve us"))
	s.Equal("it lives without Redis", answers("/livez", 200, "ok")(), true)
	s.Equal("the metrics say so", answers("/metrics", 200, "kyu_redis_up 0")(), true)
	s.Server.Restart()
	s.Until(15*time.Second, "it is ready again", answers("/readyz", 200, "ok"))
	_, page := scrape(s, "/metrics")
	for _, name := range []string{"kyu_redis_errors_total", "kyu_redis_outage_seconds_total"} {
		if n := total(s, page, name, nil); n <= 0 {
			s.Errorf("%s is %v after an outage", name, n)
		}
	}
	s.Push("Test::Sleep", []any{5000}, queue.Options{})
	s.Until(10*time.Second, "a thread is busy", answers("/metrics", 200, "\nkyu_threads_busy 1\n"))
	w.Signal(syscall.SIGTSTP)
	s.Until(10*time.Second, "a quiet worker is not ready", answers("/readyz", 503, "quiet"))
	s.Equal("exit code", w.Stop(), 0)
}

func testPoolMetrics(s *harness.Site) {
	s.WorkerWith([]string{"DATABASE_URL=" + pgtest.Start(s)}, "-c", "4", "--http",
		"unix:"+socket(s))
	for range 3 {
		s.Push("Test::DB", []any{60_000}, queue.Options{})
	}
	s.Until(15*time.Second, "three connections are in use", func() bool {
		_, page := scrape(s, "/metrics")
		return strings.Contains(page, "kyu_pg_pool_acquired 3") &&
			strings.Contains(page, "kyu_pg_pool_max 4")
	})
}

func testWatchdog(s *harness.Site) {
	path := filepath.Join(s.Dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	s.Must(err)
	defer conn.Close()
	const watchdog = 10 * time.Second
	s.StartWith([]string{"NOTIFY_SOCKET=" + path,
		fmt.Sprint("WATCHDOG_USEC=", watchdog.Microseconds())},
		harness.Program("worker"), "-c", "2")
	// hear waits for a message.
	hear := func(limit time.Duration, text string) {
		s.Helper()
		s.Must(conn.SetReadDeadline(time.Now().Add(limit)))
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				s.Fatalf("no message %q within %v", text, limit)
			}
			if strings.Contains(string(b[:n]), text) {
				return
			}
		}
	}
	hear(10*time.Second, "READY=1")
	s.Must(syscall.Kill(s.Server.PID(), syscall.SIGSTOP))
	defer syscall.Kill(s.Server.PID(), syscall.SIGCONT)
	hear(20*time.Second, "; Redis: ") // the STATUS
	for began := time.Now(); time.Since(began) < 15*time.Second; {
		hear(watchdog/2, "WATCHDOG=1")
	}
}
