package cli

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/worker"
)

const wholeFile = `
tag: web1
labels: [a, b]
max_retries: 3
dead_max_jobs: 50
dead_timeout_in_seconds: 60
average_scheduled_poll_interval: 2
poll_interval_average: 1.5
skip_default_job_logging: true
verbose: true
strict: true
concurency: 5
scheduler: 1
require: ./app
capsules:
  unsafe:
    concurrency: 1
    queues: [thumbnails]
  fast:
    :queues: [["q", 2], "r,1"]
`

func TestFile(t *testing.T) {
	t.Run("gives settings", func(t *testing.T) {
		s := resolved(t, wholeFile, nil)
		w := s.worker
		if s.problems != nil || w.Tag != "web1" || len(w.Labels) != 2 || w.MaxRetries != 3 ||
			s.deadMax != 50 || s.deadAge != time.Minute ||
			w.PollInterval != 2*time.Second || w.PollFixed != 1500*time.Millisecond ||
			!w.NoJobLog || s.logLevel != slog.LevelDebug {
			t.Errorf("%v %+v", s.problems, w)
		}
	})
	t.Run("gives capsules", func(t *testing.T) {
		w := resolved(t, wholeFile, nil).worker
		if len(w.Capsules) != 3 || w.Capsules[1].Name != "unsafe" ||
			list(w.Capsules[1]) != "thumbnails" || w.Capsules[2].Mode() != worker.Weighted ||
			w.Threads() != 5+1+5 {
			t.Errorf("%+v", w.Capsules)
		}
	})
	t.Run("warns of keys without effect", func(t *testing.T) {
		warnings := strings.Join(resolved(t, wholeFile, nil).warnings, "\n")
		for _, want := range []string{`"concurency"`, "its schedule has no effect",
			"--require does nothing"} {
			if !strings.Contains(warnings, want) {
				t.Errorf("no warning of %s in %s", want, warnings)
			}
		}
	})
	t.Run("merges the section of the environment", func(t *testing.T) {
		yaml := "concurrency: 5\nproduction:\n  :concurrency: 25\nstaging:\n  concurrency: 10\n"
		s := resolved(t, yaml, nil, "-e", "production")
		if s.worker.Capsules[0].Concurrency != 25 || len(s.warnings) != 0 {
			t.Errorf("%+v %v", s.worker.Capsules, s.warnings)
		}
	})
	t.Run("names the line of an ERB tag", func(t *testing.T) {
		s := resolved(t, "concurrency: 5\ntag: <%= ENV['X'] %>\n", nil)
		if s.problems == nil || !strings.Contains(s.problems.Error(), "sidekiq.yml:2: an ERB tag") {
			t.Error(s.problems)
		}
	})
}

// FuzzConfigFile holds that no file makes the program panic, and that a file without a problem
// gives settings that a worker takes.
func FuzzConfigFile(f *testing.F) {
	f.Add(":concurrency: 5\nqueues:\n  - [a, 2]\n  - \"b,1\"\n" +
		"capsules:\n  x:\n    queues: [c]\n")
	f.Add("production:\n  :queues: 7\n")
	f.Add("- a\n")
	f.Add("d: &d default\nqueues: [*d]\n<<: {timeout: 0x8}\n")
	f.Add("a: &a [*a]\n")
	f.Add("poll_interval_average: .inf\nmax_rss: nanG\nverbose: YES\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseFile("f.yml", []byte(text), "production")
		if err != nil {
			return
		}
		s := &settings{o: &options{set: func(string) bool { return false }}, f: file,
			env: &env.Reader{Lookup: func(string) (string, bool) { return "", false }}}
		s.resolveWorker()
		s.resolveLog()
		s.resolveWire()
		s.resolveHTTP()
		if s.env.Err() != nil {
			return
		}
		w := s.worker
		for name, d := range map[string]time.Duration{"timeout": w.Timeout,
			"poll interval": w.PollInterval, "fixed poll interval": w.PollFixed,
			"max iteration": w.MaxIteration, "dead age": s.deadAge} {
			if d < 0 || d > maxSeconds*time.Second {
				t.Errorf("%q: the %s is %v", text, name, d)
			}
		}
		if w.MaxRetries < 1 || s.deadMax < 1 || w.MaxRSS < 0 {
			t.Errorf("%q: %d retries, %d dead jobs, %d bytes", text, w.MaxRetries, s.deadMax,
				w.MaxRSS)
		}
		w.Mux = worker.NewMux()
		w.Validate() // may refuse, but must not panic
	})
}
