package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree is the program of a call without Redis.
func tree() *cobra.Command {
	c := &call{in: strings.NewReader(""), out: &bytes.Buffer{}, errOut: &bytes.Buffer{},
		env: &env.Reader{Lookup: func(string) (string, bool) { return "", false }}}
	return c.program()
}

func TestProgram(t *testing.T) {
	t.Run("every command is complete, and has its own name", func(t *testing.T) {
		seen := map[string]bool{}
		everyCommand(tree(), func(cmd *cobra.Command) {
			path := cmd.CommandPath()
			if cmd.Short == "" || cmd.RunE == nil || seen[path] ||
				cmd.HasParent() && cmd.Example == "" && path != "workerctl queue" {
				t.Errorf("%s: %+v", path, cmd)
			}
			seen[path] = true
		})
	})
	t.Run("every example names its command, and is accepted as far as it is read before Redis",
		func(t *testing.T) {
			everyCommand(tree(), func(cmd *cobra.Command) {
				for line := range strings.Lines(cmd.Example) {
					example(t, cmd, strings.TrimSpace(line))
				}
			})
		})
	t.Run("a flag has one type and one shorthand on all commands", func(t *testing.T) {
		types := map[string]string{}
		everyCommand(tree(), func(cmd *cobra.Command) {
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				text := f.Value.Type() + " " + f.Shorthand + " " + f.NoOptDefVal
				if before, known := types[f.Name]; known && before != text {
					t.Errorf("--%s of %s: %s, elsewhere %s", f.Name, pathOf(cmd), text, before)
				}
				types[f.Name] = text
			})
		})
	})
	t.Run("the flags of one call are not those of the next", func(t *testing.T) {
		first, _ := route(tree(), []string{"stats"})
		if err := first.Flags().Parse([]string{"--days", "3"}); err != nil {
			t.Fatal(err)
		}
		second, _ := route(tree(), []string{"stats"})
		if got := second.Flags().Lookup("days").Value.String(); got != "0" {
			t.Errorf("--days %s", got)
		}
	})
}

// example checks an example of the help: the command parses its flags and accepts its words.
func example(t *testing.T, want *cobra.Command, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " >")
	words := strings.Fields(strings.ReplaceAll(line, "'", ""))
	cmd, args := route(tree(), words[1:])
	if !strings.HasPrefix(pathOf(cmd), pathOf(want)) || words[0] != "workerctl" {
		t.Errorf("%q is an example of %s, want %s", line, pathOf(cmd), pathOf(want))
		return
	}
	err := cmd.ParseFlags(args[len(strings.Fields(pathOf(cmd))):])
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("%q: %v", line, err)
	}
}

func TestWrongCall(t *testing.T) {
	s := withoutRedis(t)
	t.Run("has words that the command does not take", func(t *testing.T) {
		for _, line := range []string{"stats", "processes", "busy", "deploys", "plan", "doctor",
			"uninstall-units", "retries list", "migrate up"} {
			s.of(t).fails(2, "workerctl "+line+": it takes", line+" extra")
		}
	})
	t.Run("has a flag of another command, which the error names", func(t *testing.T) {
		s.of(t).fails(2, "workerctl stats: unknown flag: --purge; it is a flag of "+
			"uninstall-units\nSee `workerctl help stats`.\n", "stats --purge")
	})
	t.Run("has a flag of another verb, which the error names", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "workerctl retries delete: unknown flag: --in; it is a flag of "+
			"retries reschedule\nSee `workerctl help retries delete`.\n",
			"retries delete a --in 1h")
		s.fails(2, "unknown flag: --pause; it is a flag of queue NAME\n",
			"queue a delete b --pause")
		s.fails(2, "unknown flag: --page; it is a flag of held CLASS\n",
			"held A release b --page 2")
	})
	t.Run("has a flag that no command has", func(t *testing.T) {
		s.of(t).fails(2, "workerctl stats: unknown flag: --nope\nSee", "stats --nope")
		s.of(t).fails(2, "workerctl: unknown flag: --nope\nSee `workerctl help`.\n", "--nope")
	})
	t.Run("has a flag that is nearly right", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "unknown flag: --fliter; did you mean --filter?\n", "retries --fliter x")
		s.fails(2, "unknown flag: --fil; did you mean --filter?\n", "busy --fil=x")
		s.fails(2, "unknown flag: --wath; did you mean --watch?\n", "stats --wath")
	})
	t.Run("has a name that is nearly right", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "there is no command \"stat\": did you mean stats or stop?\n", "stat")
		s.fails(2, "retyr a: did you mean retry? want list, show, retry", "retries retyr a")
		s.fails(2, "did you mean pause?", "cron pase b")
	})
	t.Run("is refused before Redis is asked", func(t *testing.T) {
		for line, want := range wrongCalls {
			name, _, _ := strings.Cut(line, " ")
			s.of(t).fails(2, want, line)
			s.of(t).fails(2, "workerctl "+name, line)
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
	"queue a delete":           "delete: want JIDs, or --all, or --filter",
	"queue a drop x":           "want queue NAME, or queue NAME delete, kill or move",
	"queue a --pause --clear":  "want one of --pause, --unpause, --clear and --filter",
	"retries explode x":        "explode x: want list, show, retry",
	"retries show":             "show: want one JID",
	"retries retry":            "retry: want JIDs, or --all",
	"retries retry x --all":    "retry: want JIDs, or --all",
	"retries reschedule x":     "reschedule: want --in or --at",
	"dead kill x":              "kill: the jobs are dead already",
	"dead reschedule x":        "reschedule x: want list, show, retry, requeue or delete",
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
	"help push stats":          `push has no command "stats"`,
}
