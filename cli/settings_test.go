package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

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

func TestSettings(t *testing.T) {
	yaml := ":concurrency: 7\n:timeout: 9\n:queues:\n  - [default, 8]\n  - push,6\n  - pull\n"
	vars := map[string]string{"RAILS_MAX_THREADS": "3", "APP_ENV": "staging"}
	t.Run("serve four queues in strict order by default", func(t *testing.T) {
		s := resolved(t, "", nil)
		c := s.worker.Capsules[0]
		if s.problems != nil || list(c) != "default push mailers pull" ||
			c.Mode() != worker.Strict || c.Concurrency != 5 || s.worker.Timeout != 25*time.Second {
			t.Errorf("%v %+v", s.problems, c)
		}
	})
	t.Run("come from the environment", func(t *testing.T) {
		s := resolved(t, "", vars)
		if s.worker.Capsules[0].Concurrency != 3 || s.environment != "staging" {
			t.Errorf("%+v", s.worker)
		}
	})
	t.Run("come from the file before the environment", func(t *testing.T) {
		s := resolved(t, yaml, vars)
		if c := s.worker.Capsules[0]; c.Concurrency != 7 || list(c) != "default,8 push,6 pull" ||
			c.Mode() != worker.Weighted || s.worker.Timeout != 9*time.Second {
			t.Errorf("%+v", c)
		}
	})
	t.Run("come from flags before the file, without its weights", func(t *testing.T) {
		s := resolved(t, yaml, vars, "-c", "15", "-q", "a", "-q", "b")
		if c := s.worker.Capsules[0]; c.Concurrency != 15 || list(c) != "a b" ||
			c.Mode() != worker.Strict {
			t.Errorf("%+v", c)
		}
	})
}

func TestWireSettings(t *testing.T) {
	t.Run("come from the file", func(t *testing.T) {
		s := resolved(t, "unknown: hold\ntimestamps: millis\nallow_batches: true\n"+
			"sidekiq7_metrics: true\nmax_iteration_runtime: 90\nlogged_job_attributes: [trace]\n",
			nil)
		if s.problems != nil || s.worker.Unknown.String() != "hold" ||
			s.redis.Timestamps != queue.Millis || !s.worker.AllowBatches || !s.redis.Metrics7 ||
			s.worker.MaxIteration != 90*time.Second || len(s.worker.LogAttributes) != 1 ||
			len(s.warnings) != 0 {
			t.Errorf("%v %+v %v", s.problems, s.worker, s.warnings)
		}
	})
	t.Run("come from flags before the file", func(t *testing.T) {
		s := resolved(t, "unknown: hold\nallow_batches: true\n",
			map[string]string{"REDIS_NAMESPACE": "mastodon"}, "--unknown", "forward:ruby",
			"--timestamps", "float", "--sidekiq7-metrics", "--allow-batches=false")
		if s.problems != nil || s.worker.AllowBatches ||
			s.worker.Unknown.String() != "forward:ruby" || s.redis.Timestamps != queue.Float ||
			!s.redis.Metrics7 || s.shards[0].Config.Namespace != "mastodon" {
			t.Errorf("%v %+v", s.problems, s.redis)
		}
	})
	t.Run("are refused with their names", func(t *testing.T) {
		s := resolved(t, "allow_batches: perhaps\n", map[string]string{"REDIS_NAMESPACE": "a b"},
			"--unknown", "drop", "--timestamps", "hours")
		for _, want := range []string{`"perhaps": want true or false`, `REDIS_NAMESPACE="a b"`,
			`"drop": want retry, hold or forward:QUEUE`, `"hours": want float, millis or mirror`} {
			if s.problems == nil || !strings.Contains(s.problems.Error(), want) {
				t.Errorf("no %s in %v", want, s.problems)
			}
		}
	})
	t.Run("do not forward to a queue that is served", func(t *testing.T) {
		s := resolved(t, "", nil, "-q", "a", "--unknown", "forward:a")
		if s.problems == nil || !strings.Contains(s.problems.Error(), "come back for ever") {
			t.Error(s.problems)
		}
	})
}

func TestSize(t *testing.T) {
	t.Run("has units of 1024", func(t *testing.T) {
		for text, want := range map[string]int64{"1024": 1024, "900M": 900 << 20, "1.5G": 3 << 29,
			"512KiB": 512 << 10} {
			if got, err := size(text); err != nil || got != want {
				t.Errorf("%q: %d %v, want %d", text, got, err, want)
			}
		}
	})
	t.Run("is a number from 0", func(t *testing.T) {
		for _, text := range []string{"", "lots", "-1M", "M"} {
			if got, err := size(text); err == nil {
				t.Errorf("%q: %d", text, got)
			}
		}
	})
	t.Run("stands in the file", func(t *testing.T) {
		s := resolved(t, "max_rss: 900M\nhttp: unix:/run/x.sock\n", nil)
		if s.problems != nil || s.worker.MaxRSS != 900<<20 || s.http != "unix:/run/x.sock" {
			t.Errorf("%v %+v", s.problems, s)
		}
	})
}

func TestInstance(t *testing.T) {
	t.Run("names a queue and a tag", func(t *testing.T) {
		for instance, want := range map[string]string{"push": "push", "push-2": "push",
			"push-10": "push", "two-words": "two-words", "2": "2", "-2": "-2"} {
			s := resolved(t, "", nil, "--instance", instance)
			if s.problems != nil || list(s.worker.Capsules[0]) != want ||
				s.worker.Tag != instance {
				t.Errorf("%s: %s, tag %s, %v", instance, list(s.worker.Capsules[0]),
					s.worker.Tag, s.problems)
			}
		}
	})
	t.Run("gives way to -q and -g", func(t *testing.T) {
		s := resolved(t, "", nil, "--instance", "push-2", "-q", "a", "-g", "mine")
		if list(s.worker.Capsules[0]) != "a" || s.worker.Tag != "mine" {
			t.Errorf("%+v", s.worker)
		}
	})
}

func TestPrintConfig(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "redis")
	if err := os.WriteFile(secret, []byte("redis://u:hunter2@h:1/2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, vars := range map[string]map[string]string{
		"masks the password of a file":     {"REDIS_URL_FILE": secret},
		"masks the password of a variable": {"REDIS_URL": "redis://u:hunter2@h:1/2"},
		"masks the password of a provider": {"MY_REDIS": "redis://u:hunter2@h:1/2",
			"REDIS_PROVIDER": "MY_REDIS"},
		"masks REDIS_PASSWORD": {"REDIS_HOST": "h", "REDIS_PORT": "1", "REDIS_DB": "2",
			"REDIS_PASSWORD": "hunter2"},
		"masks a URL that SIDEKIQ_ overrides": {"REDIS_URL": "redis://u:hunter2@other:9/2",
			"SIDEKIQ_REDIS_HOST": "h", "SIDEKIQ_REDIS_PORT": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			a, out, errs := app(vars)
			if code := a.Run(t.Context(), []string{"--print-config", "-c", "3"}); code != 0 {
				t.Errorf("exit code %d: %s", code, errs)
			}
			if text := out.String(); strings.Contains(text, "hunter2") ||
				!strings.Contains(text, "***") || !strings.Contains(text, "--concurrency") {
				t.Error(text)
			}
		})
	}
}
