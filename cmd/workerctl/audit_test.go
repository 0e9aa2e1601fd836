package main

import (
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	s := withRedis(t)
	s.vars["SUDO_USER"] = "ada"
	s.failures()
	s.ok("paused push", "queue push --pause --force")
	s.ok("delete a1", "retries delete a1 --as bert")
	s.okArgs("kill: 20 jobs", "retries", "kill", "--filter", "host:b.example", "--yes")
	t.Run("says who changed what, the latest first", func(t *testing.T) {
		s := s.of(t)
		out := s.ok("kill: 20 jobs of retries, of the filter host:b.example", "audit -o wide")
		first, last := strings.Index(out, "retries kill"), strings.Index(out, "paused push")
		if first < 0 || last < first {
			t.Error(out)
		}
		s.ok("ada@", "audit --limit 1")
		s.ok(`"by": "bert"`, "audit bert --json")
	})
	t.Run("has no act that was only shown or refused", func(t *testing.T) {
		s := s.of(t)
		s.ok("would change", "retries delete --all --dry-run")
		s.fails(1, "not found", "retries delete nowhere")
		if n := s.raw.XLen(t.Context(), "kyu:audit").Val(); n != 3 {
			t.Errorf("%d acts, want 3", n)
		}
	})
	t.Run("that cannot be written stops no act", func(t *testing.T) {
		s := s.of(t)
		s.raw.Del(t.Context(), "kyu:audit")
		s.raw.Set(t.Context(), "kyu:audit", "no stream", 0)
		out, errs, code := s.run("retries", "delete", "a2")
		if code != 0 || !strings.Contains(out, "delete a2") ||
			!strings.Contains(errs, "not in the audit") {
			t.Error(code, out, errs)
		}
	})
}
