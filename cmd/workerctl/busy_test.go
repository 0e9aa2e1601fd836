package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// runs writes a job into the work of a process.
func (s *terminal) runs(identity, tid, class, args string, since time.Duration) {
	payload := fmt.Sprintf(`{"class":%q,"jid":"j-%s","args":%s}`, class, tid, args)
	s.raw.HSet(s.Context(), identity+":work", tid, fmt.Sprintf(
		`{"queue":"push","run_at":%s,"payload":%q}`, unix(time.Now().Add(-since)), payload))
}

func TestBusy(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.process("h:2:two")
	s.runs("h:2:two", "t2", "Deliver", `["https://example.com/x"]`, time.Hour)
	t.Run("lists the running jobs", func(t *testing.T) {
		s := s.of(t)
		s.ok("h:1:one  t1   push   Slow", "busy")
		s.ok(`"class": "Slow"`, "busy --json")
		s.ok("\n1 to 1 of 3\n", "busy --limit 1")
	})
	t.Run("lists those that a filter chooses", func(t *testing.T) {
		s := s.of(t)
		out := s.ok("Deliver", "busy --filter host:example.com")
		if strings.Contains(out, "Slow") {
			t.Error(out)
		}
		s.ok("\n1 to 1 of 2\n", "busy --filter class:slow --limit 1")
		s.fails(2, `there is no "klass"`, "busy --filter klass:A")
	})
	t.Run("lists those of a process or a host", func(t *testing.T) {
		s := s.of(t)
		if out := s.ok("h:1:one", "busy --process h:1:one"); strings.Contains(out, "h:2:two") {
			t.Error(out)
		}
		s.ok("h:2:two", "busy --process h --filter class:Deliver")
		s.fails(1, "process nobody: not found", "busy --process nobody")
	})
}
