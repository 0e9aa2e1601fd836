package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestCommands(t *testing.T) {
	t.Run("every row is complete, and has its own name", func(t *testing.T) {
		seen := map[string]bool{}
		for _, m := range commands() {
			if m.name == "" || m.summary == "" || len(m.forms) == 0 || m.run == nil ||
				seen[m.name] {
				t.Errorf("%q: %+v", m.name, m)
			}
			seen[m.name] = true
		}
	})
	t.Run("a flag has one type and one shorthand on all commands", func(t *testing.T) {
		types := map[string]string{}
		for _, m := range commands() {
			m.flagSet().VisitAll(func(f *pflag.Flag) {
				text := f.Value.Type() + " " + f.Shorthand
				if before, known := types[f.Name]; known && before != text {
					t.Errorf("--%s of %s: %s, elsewhere %s", f.Name, m.name, text, before)
				}
				types[f.Name] = text
			})
		}
	})
	t.Run("the flags of one call are not those of the next", func(t *testing.T) {
		first, err := find("stats")
		if err != nil {
			t.Fatal(err)
		}
		if err := first.flagSet().Parse([]string{"--days", "3"}); err != nil {
			t.Fatal(err)
		}
		second, _ := find("stats")
		if got := second.flagSet().Lookup("days").Value.String(); got != "0" {
			t.Errorf("--days %s", got)
		}
	})
}

func TestCommandCall(t *testing.T) {
	s := withoutRedis(t)
	t.Run("refuses words that it does not take", func(t *testing.T) {
		for _, m := range commands() {
			if m.check == nil {
				s.of(t).fails(2, "workerctl "+m.name+": it takes no arguments", m.name+" extra")
			}
		}
	})
	t.Run("refuses a flag of another command, and names that one", func(t *testing.T) {
		s.of(t).fails(2, "workerctl stats: unknown flag: --purge; it is a flag of "+
			"uninstall-units\nSee `workerctl help stats`.\n", "stats --purge")
	})
	t.Run("refuses a flag that no command has", func(t *testing.T) {
		s.of(t).fails(2, "workerctl stats: unknown flag: --nope\nSee", "stats --nope")
		s.of(t).fails(2, "workerctl: unknown flag: --nope\nSee `workerctl help`.\n", "--nope")
	})
	t.Run("refuses a wrong call before it asks Redis", func(t *testing.T) {
		for line, want := range wrongCalls {
			name, _, _ := strings.Cut(line, " ")
			s.of(t).fails(2, "workerctl "+name+": "+want, line)
		}
	})
}

// wrongCalls are command lines, and how the error begins.
var wrongCalls = map[string]string{
	"push":                     "want a class",
	"push A [] x":              "want a class and at most one array",
	"push A {}":                `"{}" is not a JSON array`,
	"push A [] --in soon":      `--in "soon": want a duration`,
	"push A [] --in 1s --at 5": "--in and --at exclude each other",
	"push A [] --at noon":      `--at "noon": want a time`,
	"push A [] --retry maybe":  `--retry "maybe": want a number`,
	"queues default":           "it takes no arguments: `workerctl queue default`",
	"queue":                    "want queue NAME",
	"queue a delete":           "want queue NAME, or queue NAME delete JID",
	"queue a drop x":           "want queue NAME, or queue NAME delete JID",
	"queue a --pause --clear":  "want one of --pause, --unpause and --clear",
	"retries explode x":        "explode x: want list, show JID, retry",
	"retries show":             "show: want list, show JID",
	"retries retry":            "retry: want JIDs, or --all",
	"retries retry x --all":    "retry: want JIDs, or --all",
	"retries reschedule x":     "reschedule: want --in or --at",
	"dead kill x":              "kill: the jobs are dead already",
	"dead reschedule x":        "reschedule x: want list, show JID, retry or delete",
	"held A drop x":            "A drop: want release or delete",
	"held A release":           "A release: want JIDs, or --all",
	"quiet":                    "want identities",
	"dump x --all":             "want identities",
	"metrics A B":              "want one class at most",
	"metrics --since 100h":     "--since 100h0m0s: want more than 0 and at most 72h0m0s",
	"metrics A --since 9h":     "--since 9h0m0s: want more than 0 and at most 8h0m0s",
	"iteration":                "want one job",
	"cancel":                   "want jobs",
	"migrate down":             "down: want up or status",
	"doctor now":               `it takes no arguments, and got "now"`,
	"doctor --web two":         `--web "two": want processes x connections`,
	"doctor --env-file /no":    "--env-file: open /no",
	"plan --streaming 5":       `--streaming "5": want processes x connections`,
	"install-units":            "want --split default=15",
	"health":                   "want health --http ADDRESS",
	"help push stats":          "want one command at most",
}
