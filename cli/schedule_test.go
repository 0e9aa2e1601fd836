package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/worker"
)

func scheduleFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schedule.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSchedule(t *testing.T) {
	const good = "entries: {a: {every: 1s, class: A}}\n"
	t.Run("is named by a flag or a key, and shown", func(t *testing.T) {
		path := scheduleFile(t, good)
		for _, s := range []*settings{resolved(t, "", nil, "--schedule", path),
			resolved(t, "schedule_file: "+path+"\n", nil)} {
			var out strings.Builder
			if s.print(&out); s.problems != nil || s.schedule == nil ||
				!strings.Contains(out.String(), "1 entries") {
				t.Error(s.problems, out.String())
			}
		}
	})
	t.Run("of a sidekiq.yml has no effect unless it is named", func(t *testing.T) {
		yaml := ":scheduler:\n  :schedule:\n    a: {cron: '<%= rand(0..9) %> * * * *', class: A}\n"
		s := resolved(t, yaml, nil)
		if s.problems != nil || s.schedule != nil ||
			!strings.Contains(strings.Join(s.warnings, "\n"), "unless --schedule names") {
			t.Error(s.problems, s.warnings)
		}
		s = resolved(t, yaml, nil, "--schedule", scheduleFile(t, yaml))
		if s.problems != nil || s.schedule.Entries[0].Cron != "H(0-9) * * * *" {
			t.Error(s.problems, s.schedule)
		}
	})
	t.Run("is refused with all its problems", func(t *testing.T) {
		s := resolved(t, "", nil, "--schedule", scheduleFile(t, "entries: {a: {}, b: {}}\n"))
		if s.problems == nil || !strings.Contains(s.problems.Error(), "entry a") ||
			!strings.Contains(s.problems.Error(), "entry b") {
			t.Error(s.problems)
		}
	})
	t.Run("pushes jobs beside the worker", func(t *testing.T) {
		a, out, errs := app(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		worker.Handle(a.Mux, "A", func(context.Context, struct{}) error {
			cancel()
			return nil
		})
		a.Schedule = &cron.Schedule{Entries: []cron.Entry{{Name: "a", Every: time.Second,
			Class: "A"}}}
		code := a.Run(ctx, []string{"--dev", "-q", "default", "--log-format", "json"})
		if code != 0 || context.Cause(ctx) != context.Canceled {
			t.Error(code, context.Cause(ctx), out, errs)
		}
	})
}
