package main

import (
	"testing"
	"time"
)

func TestStuck(t *testing.T) {
	s := withRedis(t)
	t.Run("says that nothing is stuck", func(t *testing.T) {
		s.of(t).ok("nothing is stuck\n", "stuck")
		s.of(t).ok("[]\n", "stuck --json")
	})
	s.ok("", "push A --queue alone")
	t.Run("says what is stuck and what to do, with exit code 1", func(t *testing.T) {
		s := s.of(t)
		s.exits(1, "queue alone  1 jobs wait, and no process serves it, since ", "stuck")
		s.exits(1, "\n             → worker -q alone", "stuck")
		s.exits(1, `"where":"queue alone"`, "stuck -o jsonl")
	})
	t.Run("takes another limit for running jobs", func(t *testing.T) {
		s := s.of(t)
		s.process("h:1:one")
		s.raw.HSet(t.Context(), "h:1:one:work", "t1", `{"queue":"push","run_at":`+
			unix(time.Now().Add(-10*time.Minute))+
			`,"payload":"{\"class\":\"Slow\",\"jid\":\"j\",\"args\":[]}"}`)
		s.raw.Del(t.Context(), "queue:alone")
		s.ok("nothing is stuck", "stuck")
		s.exits(1, "job j  Slow of the queue push has run for 10m", "stuck --longer-than 5m")
		s.fails(2, "want more than 0", "stuck --longer-than 0s")
	})
	t.Run("finds locks whose jobs are nowhere only if it is told to", func(t *testing.T) {
		s := s.of(t)
		s.lock("uniquejobs:1", "gone")
		s.ok("nothing is stuck", "stuck")
		s.exits(1, "lock uniquejobs:1  job gone holds it, and is nowhere", "stuck --locks")
		s.exits(1, "→ workerctl locks delete uniquejobs:1", "stuck --locks")
	})
}
