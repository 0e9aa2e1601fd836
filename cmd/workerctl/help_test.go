package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestHelp(t *testing.T) {
	s := withoutRedis(t)
	t.Run("lists all commands", func(t *testing.T) {
		s := s.of(t)
		text := s.ok("Usage: workerctl COMMAND", "help")
		for _, m := range commands() {
			if !strings.Contains(text, "\n  "+m.name+" ") {
				t.Errorf("no %s in\n%s", m.name, text)
			}
		}
		for _, line := range []string{"--help", "-h"} {
			if s.ok("", line) != text {
				t.Errorf("%s prints another help", line)
			}
		}
	})
	t.Run("shows the calls and the flags of each command, without Redis", func(t *testing.T) {
		s := s.of(t)
		for _, m := range commands() {
			text := s.ok("Usage:\n  workerctl "+m.name, "help "+m.name)
			for _, line := range []string{m.name + " --help", m.name + " -h", "--help " + m.name} {
				if s.ok("", line) != text {
					t.Errorf("%s prints another help", line)
				}
			}
			m.flagSet().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" || !strings.Contains(text, "--"+f.Name) {
					t.Errorf("%s: --%s is not explained", m.name, f.Name)
				}
			})
		}
	})
	t.Run("fits a terminal of 100 columns", func(t *testing.T) {
		for _, m := range commands() {
			for line := range strings.Lines(s.of(t).ok("", "help "+m.name)) {
				if n := len([]rune(line)) - 1; n > helpWidth {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		}
	})
	t.Run("knows no other command", func(t *testing.T) {
		s.of(t).fails(2, `there is no command "stat"`, "help stat")
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
