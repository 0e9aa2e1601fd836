package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// key finds keys that are not snake_case.
var key = regexp.MustCompile(`"[^"]*[A-Z-][^"]*":`)

// everyLine has a call of each command that prints JSON, in an order in which they succeed.
var everyLine = []string{"push A", "stats", "stuck", "queues", "queue default", "retries",
	"retries show a", "retries retry a", "retries kill b", "retries reschedule c --in 1h",
	"retries delete c d", "dead", "scheduled", "held", "locks", "processes", "busy",
	"quiet h:1:one", "stop --all --yes", "classes", "metrics", "metrics A", "deploy v1", "deploys",
	"find class:A", "iteration mine", "cancel mine", "cron", "plan", "queue default --pause",
	"queue default --clear --yes", "processes --clean"}

func TestOutput(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.raw.HSet(t.Context(), "it-mine", "ex", 2, "c", `{"id":7}`, "rt", 7.3)
	s.ran("A", 1, 0, time.Millisecond)
	for _, jid := range []string{"a", "b", "c", "d"} {
		s.store("retry", "A", jid)
	}
	t.Run("is JSON with snake_case keys for every command", func(t *testing.T) {
		for _, line := range append(everyLine,
			"install-units --split push=1 --root "+t.TempDir()) {
			text := s.of(t).ok("", line+" -o json")
			if !json.Valid([]byte(text)) || key.MatchString(text) {
				t.Errorf("%s:\n%s", line, text)
			}
		}
	})
	t.Run("has what was done, also before an error", func(t *testing.T) {
		s := s.of(t)
		s.store("retry", "A", "x")
		out, _, code := s.run("retries", "delete", "x", "nobody", "-o", "json")
		if code != 1 || !strings.Contains(strings.Join(strings.Fields(out), ""),
			`{"done":["deletexofretries(undo:workerctlundo`) {
			t.Errorf("exit code %d: %s", code, out)
		}
	})
	t.Run("has a line for each row as jsonl", func(t *testing.T) {
		s := s.of(t)
		s.store("retry", "A", "y")
		s.store("retry", "A", "z")
		lines := strings.Split(strings.TrimSpace(s.ok("", "retries -o jsonl")), "\n")
		if len(lines) != 2 || !json.Valid([]byte(lines[0])) || !strings.Contains(lines[1], `"z"`) {
			t.Errorf("%q", lines)
		}
		s.ok(`{"done":"delete y z of retries (undo: workerctl undo `,
			"retries delete y z -o jsonl")
	})
	t.Run("asks its question beside the JSON", func(t *testing.T) {
		s := s.of(t)
		s.store("retry", "A", "w")
		s.input = "y\n"
		out, errs, code := s.run("retries", "delete", "--all", "--json")
		if code != 0 || !json.Valid([]byte(out)) || !strings.Contains(errs, "[y/N]") {
			t.Errorf("exit code %d: %s%s", code, out, errs)
		}
	})
	t.Run("has no other form", func(t *testing.T) {
		s.of(t).fails(2, "want table, wide, json, jsonl", "stats -o xml")
	})
}
