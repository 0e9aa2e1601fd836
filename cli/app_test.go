package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestApp(t *testing.T) {
	t.Run("exits with 2 if its flags are wrong, else with 0", func(t *testing.T) {
		for args, want := range map[string]int{"--no-such": 2, "extra": 2, "-c x": 2,
			"-C /no/such/file": 2, "-h": 0, "-V": 0, "--print-config": 0} {
			a, out, errs := app(nil)
			if code := a.Run(t.Context(), strings.Fields(args)); code != want {
				t.Errorf("%s: exit code %d, want %d\n%s%s", args, code, want, out, errs)
			}
		}
	})
	t.Run("prints all problems at once", allProblems)
	t.Run("does not start without its Redis", func(t *testing.T) {
		a, _, errs := app(map[string]string{"REDIS_URL": "redis://127.0.0.1:1"})
		if code := a.Run(t.Context(), nil); code != ExitBoot ||
			!strings.Contains(errs.String(), "is it running") {
			t.Errorf("exit code %d: %s", code, errs)
		}
	})
	t.Run("stops with its context", func(t *testing.T) {
		a, out, errs := app(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if code := a.Run(ctx, []string{"--dev", "--log-format", "json"}); code != 0 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		if text := out.String(); !strings.Contains(text, "in memory only") ||
			!strings.Contains(text, "Bye!") {
			t.Error(text)
		}
	})
}

func allProblems(t *testing.T) {
	a, _, errs := app(map[string]string{"REDIS_URL": "what://", "DB_POOL": "x"})
	path := filepath.Join(t.TempDir(), "c.yml")
	text := "timeout: soon\nqueues: [\"a\\nb\"]\ncapsules: 5\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code := a.Run(t.Context(),
		[]string{"-c", "0", "-C", path, "--log-format", "xml", "--log-level", "loud"})
	if code != ExitUsage {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"--concurrency 0", "timeout", `"a\nb"`, "capsules",
		"--log-format", "--log-level", "Redis URL", "Nothing was started"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%s is not named in\n%s", want, errs)
		}
	}
}

func TestAppCheck(t *testing.T) {
	t.Run("connects to everything, and closes it", func(t *testing.T) {
		a, out, errs := app(nil)
		opened, dev := 0, ""
		a.Open = func(_ context.Context, b *Boot) (func(), error) {
			opened++
			dev = b.Dev
			return func() { opened-- }, nil
		}
		if code := a.Run(t.Context(), []string{"--dev", "--check"}); code != 0 || opened != 0 ||
			!strings.HasPrefix(dev, "redis://") ||
			!strings.Contains(out.String(), "everything answers") {
			t.Errorf("exit code %d, %d open, %q\n%s%s", code, opened, dev, out, errs)
		}
	})
	t.Run("fails if the program cannot connect", func(t *testing.T) {
		a, _, errs := app(nil)
		a.Open = func(context.Context, *Boot) (func(), error) {
			return nil, errors.New("no database")
		}
		if code := a.Run(t.Context(), []string{"--dev", "--check"}); code != ExitBoot ||
			!strings.Contains(errs.String(), "worker: no database") {
			t.Errorf("exit code %d: %s", code, errs)
		}
	})
}
