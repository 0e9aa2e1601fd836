package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// process writes the record of a live process, as Sidekiq does.
func (s *terminal) process(identity string) {
	now := time.Now().Unix()
	info := fmt.Sprintf(`{"hostname":"h","started_at":%d,"pid":1,"tag":"web","concurrency":5,`+
		`"queues":["default","push"],"labels":[],"identity":%q}`, now, identity)
	s.raw.SAdd(s.Context(), "processes", identity)
	s.raw.HSet(s.Context(), identity, "info", info, "busy", 1, "beat", now, "quiet", "false",
		"rss", 2048)
	s.raw.HSet(s.Context(), identity+":work", "t1", fmt.Sprintf(
		`{"queue":"push","run_at":%d,"payload":"{\"class\":\"Slow\",\"jid\":\"j\",\"args\":[]}"}`,
		now))
}

func TestProcesses(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.raw.SAdd(t.Context(), "processes", "h:2:dead")
	t.Run("lists those that live", func(t *testing.T) {
		out := s.of(t).ok("h:1:one   web  1     5        default,push         2 MB", "processes")
		if strings.Contains(out, "h:2:dead") {
			t.Errorf("a dead process in\n%s", out)
		}
		s.of(t).ok(`"identity": "h:1:one"`, "processes --json")
	})
	t.Run("--clean forgets the dead", func(t *testing.T) {
		s.of(t).ok("1 dead processes", "processes --clean")
		if n := s.raw.SCard(t.Context(), "processes").Val(); n != 1 {
			t.Errorf("%d processes, want 1", n)
		}
	})
}
