package acceptance

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestWorker(t *testing.T) {
	t.Parallel()
	beside(t, "stuck handlers end it with exit code 3, and their jobs are put back", testStuck)
	beside(t, "too much memory drains it and ends it with exit code 3", testMemory)
	beside(t, "a program of ten lines is a worker", testHello)
	beside(t, "wrong settings of mail stop only a worker that serves mail", testMailSettings)
}

func testStuck(s *harness.Site) {
	w := s.Worker("-c", "2", "-t", "1", "--max-stuck", "2")
	s.Push("Test::Hang", nil, queue.Options{})
	s.Push("Test::Hang", nil, queue.Options{})
	s.Equal("exit code", w.Exit(20*time.Second), 3)
	s.Equal("jobs in the queue", s.Len("default"), 2)
}

func testMemory(s *harness.Site) {
	w := s.Worker("-c", "2", "--max-rss", "5M")
	s.Push("Test::Ledger", []any{s.LedgerPath(), "x", 300}, queue.Options{})
	s.Equal("exit code", w.Exit(20*time.Second), 3)
	s.Contains("log", w.Log(), "too much memory")
	starts, ends, _ := s.Ledger()
	s.Equal("ends of the job, as many as starts", ends["x"], starts["x"])
	s.Equal("jobs in flight", s.InFlight(), 0)
}

func testHello(s *harness.Site) {
	w := s.Start(filepath.Join(harness.Bin, "hello"))
	s.Push("Greeter", []any{"you", 2}, queue.Options{})
	s.Until(10*time.Second, "it greets", func() bool {
		return strings.Count(w.Log(), "Hello, you") == 2
	})
}

func testMailSettings(s *harness.Site) {
	env := []string{"REDIS_URL=" + s.Server.URL, "SMTP_SERVER=mail.example", "SMTP_PORT=many"}
	out, err := run(env, "worker", "--check", "-q", "default", "-q", "mailers")
	s.Equal("one that serves mail starts", err == nil, false)
	s.Contains("the error", out, "SMTP_PORT")
	out, err = run(env, "worker", "--check", "-q", "push")
	if err != nil {
		s.Errorf("a worker of push does not start: %v\n%s", err, out)
	}
}
