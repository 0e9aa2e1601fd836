package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("gives the configuration of the worker, of files below root", func(t *testing.T) {
		write("config/sidekiq.yml", "concurrency: 7\n")
		write("etc/mine.yml", "concurrency: 9\n")
		for args, want := range map[string]int{"": 7, "-C /etc/mine.yml": 9, "-c 3": 3} {
			a, _, _ := app(nil)
			c, err := a.Check(root, strings.Fields(args))
			if err != nil || c.Threads() != want {
				t.Errorf("%q: %d threads, %v, want %d", args, c.Threads(), err, want)
			}
		}
	})
	t.Run("gives all problems in one error", func(t *testing.T) {
		a, _, _ := app(map[string]string{"REDIS_URL": "what://"})
		_, err := a.Check(root, strings.Fields("-c 0 -t 0 -q default,-1 -C /etc/none.yml"))
		for _, want := range []string{"--concurrency 0", "--timeout 0", `queue "default,-1"`,
			filepath.Join(root, "etc/none.yml"), "the Redis URL"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
	})
	for _, args := range []string{"--threads 5", "push", "--help", "--man", "--version", "--check",
		"--print-config"} {
		t.Run("refuses "+args+", and prints nothing", func(t *testing.T) {
			a, out, errs := app(nil)
			if _, err := a.Check(root, strings.Fields(args)); err == nil || out.Len() > 0 ||
				errs.Len() > 0 {
				t.Errorf("%v; %s%s", err, out, errs)
			}
		})
	}
}
