package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checkHelp checks that a help explains each flag of its command, has its examples, and fits a
// terminal of 100 columns.
func checkHelp(t *testing.T, cmd *cobra.Command, text string) {
	t.Helper()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" || !f.Hidden && !strings.Contains(text, "--"+f.Name) {
			t.Errorf("%s: --%s is not explained", pathOf(cmd), f.Name)
		}
	})
	if cmd.Example != "" && !strings.Contains(text, "\nExamples:\n  workerctl "+
		strings.Split(pathOf(cmd), " ")[0]) {
		t.Errorf("%s: no examples in\n%s", pathOf(cmd), text)
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(line)) - 1; n > helpWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestHelp(t *testing.T) {
	s := withoutRedis(t)
	t.Run("lists all commands", func(t *testing.T) {
		s := s.of(t)
		text := s.ok("Usage: workerctl COMMAND", "help")
		for _, cmd := range tree().Commands() {
			if !strings.Contains(text, "\n  "+cmd.Name()+" ") {
				t.Errorf("no %s in\n%s", cmd.Name(), text)
			}
		}
		for _, line := range []string{"--help", "-h"} {
			if s.ok("", line) != text {
				t.Errorf("%s prints another help", line)
			}
		}
	})
	t.Run("agrees with docs/operations.md", func(t *testing.T) {
		text, err := os.ReadFile("../../docs/operations.md")
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range tree().Commands() {
			row := "\n| `" + cmd.Name() + "` | " + cmd.Short + " |\n"
			if !strings.Contains(string(text), row) {
				t.Errorf("docs/operations.md has no%s", row)
			}
		}
	})
	t.Run("shows the calls and the flags of each command, without Redis", func(t *testing.T) {
		s := s.of(t)
		everyCommand(tree(), func(cmd *cobra.Command) {
			path := pathOf(cmd)
			if path == "" {
				return
			}
			text := s.ok("workerctl "+path, "help "+path)
			for _, line := range []string{path + " --help", path + " -h", "--help " + path} {
				if s.ok("", line) != text {
					t.Errorf("%s prints another help", line)
				}
			}
			checkHelp(t, cmd, text)
		})
	})
	t.Run("has no flags of other verbs", func(t *testing.T) {
		text := s.of(t).ok("--yes", "retries delete --help")
		if strings.Contains(text, "--page") || strings.Contains(text, "--in ") {
			t.Error(text)
		}
	})
	t.Run("is found behind the name of a queue", func(t *testing.T) {
		s.of(t).ok("workerctl queue NAME delete JID…", "queue default delete --help")
	})
	t.Run("knows no other command", func(t *testing.T) {
		s.of(t).fails(2, `there is no command "stat": did you mean stats or stop?`, "help stat")
	})
	t.Run("comes with exit code 2 if nothing is asked", func(t *testing.T) {
		out, errs, code := s.of(t).run()
		if code != 2 || errs != "" || !strings.Contains(out, "Usage: workerctl COMMAND") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
	t.Run("gives the version", func(t *testing.T) {
		s.of(t).ok("workerctl ", "--version")
		s.of(t).ok("workerctl ", "-V")
	})
}
