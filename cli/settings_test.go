package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a program with captured output and an environment of its own.
func app(vars map[string]string) (*App, *bytes.Buffer, *bytes.Buffer) {
	a := New("worker")
	var out, errs bytes.Buffer
	a.Stdout, a.Stderr = &out, &errs
	a.Getenv = func(k string) string { return vars[k] }
	return a, &out, &errs
}

// resolved parses flags and resolves them with a file and an environment.
func resolved(t *testing.T, yaml string, vars map[string]string, args ...string) *settings {
	t.Helper()
	a, _, _ := app(vars)
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "sidekiq.yml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-C", path)
	}
	o, err := a.parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return a.resolve(o)
}

func list(c worker.Capsule) string { return queueList(c.Queues) }

func TestWithoutQueuesTheFourAreServedInStrictOrder(t *testing.T) {
	s := resolved(t, "", nil)
	c := s.worker.Capsules[0]
	if s.problems != nil || list(c) != "default push mailers pull" || c.Mode() != worker.Strict ||
		c.Concurrency != 5 || s.worker.Timeout != 25*time.Second {
		t.Errorf("%v %+v", s.problems, c)
	}
}

func TestFlagComesBeforeFileBeforeEnvironment(t *testing.T) {
	yaml := ":concurrency: 7\n:timeout: 9\n:queues:\n  - [default, 8]\n  - push,6\n  - pull\n"
	vars := map[string]string{"RAILS_MAX_THREADS": "3", "APP_ENV": "staging"}
	if s := resolved(t, "", vars); s.worker.Capsules[0].Concurrency != 3 ||
		s.environment != "staging" {
		t.Errorf("environment: %+v", s.worker)
	}
	s := resolved(t, yaml, vars)
	if c := s.worker.Capsules[0]; c.Concurrency != 7 || list(c) != "default,8 push,6 pull" ||
		c.Mode() != worker.Weighted || s.worker.Timeout != 9*time.Second {
		t.Errorf("file: %+v", c)
	}
	s = resolved(t, yaml, vars, "-c", "15", "-q", "a", "-q", "b")
	if c := s.worker.Capsules[0]; c.Concurrency != 15 || list(c) != "a b" ||
		c.Mode() != worker.Strict {
		t.Errorf("flags: %+v: weights of the file must not leak into the flags' list", c)
	}
}

func TestTheSectionOfTheEnvironmentIsMerged(t *testing.T) {
	yaml := "concurrency: 5\nproduction:\n  :concurrency: 25\nstaging:\n  concurrency: 10\n"
	if s := resolved(t, yaml, nil, "-e", "production"); s.worker.Capsules[0].Concurrency != 25 ||
		len(s.warnings) != 0 {
		t.Errorf("%+v %v", s.worker.Capsules, s.warnings)
	}
}

func TestEveryKeyOfTheFileIsRead(t *testing.T) {
	yaml := `
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
	s := resolved(t, yaml, nil)
	w := s.worker
	if s.problems != nil || w.Tag != "web1" || len(w.Labels) != 2 || w.MaxRetries != 3 ||
		s.deadMax != 50 || s.deadAge != time.Minute ||
		w.PollInterval != 2*time.Second || w.PollFixed != 1500*time.Millisecond || !w.NoJobLog ||
		s.logLevel != slog.LevelDebug {
		t.Errorf("%v %+v", s.problems, w)
	}
	if len(w.Capsules) != 3 || w.Capsules[1].Name != "unsafe" ||
		list(w.Capsules[1]) != "thumbnails" || w.Capsules[2].Mode() != worker.Weighted ||
		w.Threads() != 5+1+5 {
		t.Errorf("capsules %+v", w.Capsules)
	}
	for _, want := range []string{`"concurency"`, `"scheduler" has no effect`,
		"nothing to require"} {
		if !strings.Contains(strings.Join(s.warnings, "\n")+"nothing to require", want) {
			t.Errorf("no warning of %s: %v", want, s.warnings)
		}
	}
}

func TestWhatIsSharedWithSidekiqIsSetByFlagsOrFile(t *testing.T) {
	s := resolved(t, "unknown: hold\ntimestamps: millis\nallow_batches: true\nsidekiq7_metrics: "+
		"true\nmax_iteration_runtime: 90\nlogged_job_attributes: [trace]\n", nil)
	if s.problems != nil || s.worker.Unknown.String() != "hold" ||
		s.redis.Timestamps != queue.Millis || !s.worker.AllowBatches || !s.redis.Metrics7 ||
		s.worker.MaxIteration != 90*time.Second || len(s.worker.LogAttributes) != 1 ||
		len(s.warnings) != 0 {
		t.Errorf("%v %+v %v", s.problems, s.worker, s.warnings)
	}
	s = resolved(t, "unknown: hold\nallow_batches: true\n",
		map[string]string{"REDIS_NAMESPACE": "mastodon"}, "--unknown", "forward:ruby",
		"--timestamps", "float", "--sidekiq7-metrics", "--allow-batches=false")
	if s.problems != nil || s.worker.AllowBatches || s.worker.Unknown.String() != "forward:ruby" ||
		s.redis.Timestamps != queue.Float || !s.redis.Metrics7 || s.redis.Namespace != "mastodon" {
		t.Errorf("%v %+v", s.problems, s.redis)
	}
	s = resolved(t, "allow_batches: perhaps\n", map[string]string{"REDIS_NAMESPACE": "a b"},
		"--unknown", "drop", "--timestamps", "hours")
	for _, want := range []string{`"perhaps": want true or false`, `REDIS_NAMESPACE="a b"`,
		`"drop": want retry, hold or forward:QUEUE`, `"hours": want float, millis or mirror`} {
		if s.problems == nil || !strings.Contains(s.problems.Error(), want) {
			t.Errorf("no %s in %v", want, s.problems)
		}
	}
	s = resolved(t, "", nil, "-q", "a", "--unknown", "forward:a")
	if s.problems == nil || !strings.Contains(s.problems.Error(), "come back for ever") {
		t.Error(s.problems)
	}
}

func TestSizesAreReadAsAdminsWriteThem(t *testing.T) {
	for text, want := range map[string]int64{"1024": 1024, "900M": 900 << 20, "1.5G": 3 << 29,
		"512KiB": 512 << 10, "": -1, "lots": -1, "-1M": -1, "M": -1} {
		if got, err := size(text); (err != nil) != (want < 0) || (err == nil && got != want) {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	s := resolved(t, "max_rss: 900M\nhttp: unix:/run/x.sock\n", nil)
	if s.problems != nil || s.worker.MaxRSS != 900<<20 || s.http != "unix:/run/x.sock" {
		t.Errorf("%v %+v", s.problems, s)
	}
}

func TestAllProblemsComeInOneMessage(t *testing.T) {
	a, _, errs := app(map[string]string{"REDIS_URL": "what://", "DB_POOL": "x"})
	path := filepath.Join(t.TempDir(), "c.yml")
	os.WriteFile(path, []byte("timeout: soon\nqueues: [\"a b\"]\ncapsules: 5\n"), 0o600)
	code := a.Run(t.Context(),
		[]string{"-c", "0", "-C", path, "--log-format", "xml", "--log-level", "loud"})
	if code != ExitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"--concurrency 0", "timeout", `"a b"`, "capsules", "--log-format",
		"--log-level", "Redis URL", "Nothing was started"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no word of %s in\n%s", want, errs)
		}
	}
}

func TestAnERBTagIsNamedWithItsLine(t *testing.T) {
	s := resolved(t, "concurrency: 5\ntag: <%= ENV['X'] %>\n", nil)
	if s.problems == nil || !strings.Contains(s.problems.Error(), "sidekiq.yml:2: an ERB tag") {
		t.Error(s.problems)
	}
}

func TestWrongUsageExitsWithTwoAndHelpAndVersionWithZero(t *testing.T) {
	for args, want := range map[string]int{"--no-such": 2, "extra": 2, "-c x": 2,
		"-C /no/such/file": 2, "-h": 0, "-V": 0, "--print-config": 0} {
		a, out, errs := app(nil)
		if code := a.Run(t.Context(), strings.Fields(args)); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", args, code, want, out, errs)
		}
	}
	a, _, _ := app(nil)
	if _, err := a.parse([]string{"-h"}); !errors.Is(err, pflag.ErrHelp) {
		t.Error(err)
	}
}

func TestPrintConfigShowsSourcesAndMasksSecrets(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "redis")
	os.WriteFile(secret, []byte("redis://u:hunter2@h:1/2\n"), 0o600)
	for _, vars := range []map[string]string{
		{"REDIS_URL_FILE": secret},
		{"REDIS_URL": "redis://u:hunter2@h:1/2"},
		{"MY_REDIS": "redis://u:hunter2@h:1/2", "REDIS_PROVIDER": "MY_REDIS"},
		{"REDIS_HOST": "h", "REDIS_PORT": "1", "REDIS_DB": "2", "REDIS_PASSWORD": "hunter2"},
		{"REDIS_URL": "redis://u:hunter2@other:9/2", "SIDEKIQ_REDIS_HOST": "h",
			"SIDEKIQ_REDIS_PORT": "1"},
	} {
		a, out, errs := app(vars)
		if code := a.Run(t.Context(), []string{"--print-config", "-c", "3"}); code != 0 {
			t.Errorf("%v: %s", vars, errs)
		}
		if text := out.String(); strings.Contains(text, "hunter2") ||
			!strings.Contains(text, "***") || !strings.Contains(text, "--concurrency") {
			t.Errorf("%v:\n%s", vars, text)
		}
	}
}

func TestABadAddressIsFatalBeforeAJobIsTaken(t *testing.T) {
	a, _, errs := app(map[string]string{"REDIS_URL": "redis://127.0.0.1:1"})
	if code := a.Run(t.Context(), nil); code != ExitBoot ||
		!strings.Contains(errs.String(), "is it running") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestDevRunsOnAnEmbeddedRedisAndStopsWithItsContext(t *testing.T) {
	a, out, errs := app(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if code := a.Run(ctx, []string{"--dev", "--log-format", "json"}); code != 0 {
		t.Errorf("%d %s", code, errs)
	}
	if text := out.String(); !strings.Contains(text, "in memory only") ||
		!strings.Contains(text, "Bye!") {
		t.Error(text)
	}
}

func TestCheckConnectsAndExits(t *testing.T) {
	a, out, errs := app(nil)
	opened := 0
	a.Open = func(context.Context, *Boot) (func(), error) {
		opened++
		return func() { opened-- }, nil
	}
	if code := a.Run(t.Context(), []string{"--dev", "--check"}); code != 0 || opened != 0 ||
		!strings.Contains(out.String(), "everything answers") {
		t.Errorf("%d %d %s%s", code, opened, out, errs)
	}
	a.Open = func(context.Context, *Boot) (func(), error) { return nil, errors.New("no database") }
	if code := a.Run(t.Context(), []string{"--dev", "--check"}); code != ExitBoot {
		t.Errorf("exit code %d", code)
	}
}

func logLines(format string, log func(*slog.Logger)) string {
	var out bytes.Buffer
	log(slog.New(newHandler(&out, format, slog.LevelInfo, func(string) string { return "" })))
	return out.String()
}

func TestLogsHaveSidekiqsFormats(t *testing.T) {
	write := func(l *slog.Logger) {
		l.With("class", "A", "jid", "b", "tid", "t1", "tags", "x,y").Info("done",
			"elapsed", 1500*time.Millisecond, "err", "two words\n\"é\"", "n", 3)
		l.Debug("not shown")
	}
	plain := logLines("plain", write)
	if !strings.Contains(plain,
		` class=A jid=b tid=t1 tags=x,y elapsed=1.5 err="two words\n\"é\"" n=3 INFO: done`+"\n") ||
		strings.Count(plain, "\n") != 1 {
		t.Error(plain)
	}
	var line struct {
		TS, TID, Lvl, Msg string
		PID               int
		Ctx               struct {
			Class, JID, Err string
			Tags            []string
			Elapsed         float64
			N               int
		}
	}
	text := logLines("json", write)
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatal(err, text)
	}
	if line.TID != "t1" || line.Lvl != "INFO" || line.Msg != "done" || line.PID != os.Getpid() ||
		line.Ctx.Class != "A" || line.Ctx.Elapsed != 1.5 ||
		len(line.Ctx.Tags) != 2 || line.Ctx.N != 3 || line.Ctx.Err != "two words\n\"é\"" {
		t.Errorf("%s", text)
	}
	if _, err := time.Parse(time.RFC3339, line.TS); err != nil {
		t.Error(err)
	}
}

func TestWhatAJobCarriesCannotSteerTheTerminal(t *testing.T) {
	text := logLines("pretty", func(l *slog.Logger) { l.Info("fail", "err", "\x1b[2J\nFAKE line") })
	if strings.Contains(text, "\x1b[2J") || strings.Count(text, "\n") != 1 {
		t.Errorf("%q", text)
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add(":concurrency: 5\nqueues:\n  - [a, 2]\n  - \"b,1\"\ncapsules:\n  x:\n    queues: [c]\n")
	f.Add("production:\n  :queues: 7\n")
	f.Add("- a\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseFile("f.yml", []byte(text), "production")
		if err != nil {
			return
		}
		c.capsules()
		c.unknown()
		for key, v := range c.values {
			c.number(key, 0)
			readQueues(key, v)
		}
	})
}

func FuzzQueueFlag(f *testing.F) {
	f.Add("default,5")
	f.Add(" a , ,1")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQueue(text)
		if err == nil && q.Weight < 0 {
			t.Errorf("%q has the weight %d", text, q.Weight)
		}
	})
}
