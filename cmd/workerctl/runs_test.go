package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// told publishes runs of a process of Kyu, as its worker does.
func (s *terminal) told(store *queue.Store, identity string, runs ...queue.RunRecord) {
	s.Helper()
	s.process(identity)
	o := store.Owner(identity)
	err := o.Register(s.Context(), queue.Host{Name: "h", PID: 1}, []string{"push"}, time.Minute)
	if err == nil {
		err = o.PublishRuns(s.Context(), []string{"default0"}, runs, time.Now())
	}
	if err != nil {
		s.Fatal(err)
	}
}

func TestRuns(t *testing.T) {
	s := withRedis(t)
	now := time.Now()
	s.told(s.redis.Store(), "h:1:kyu", queue.RunRecord{TID: "default0", Queue: "push",
		Class: "Deliver", JID: "j1", Started: now.Add(-3 * time.Second),
		Took: 1234 * time.Microsecond, Outcome: "retry"},
		queue.RunRecord{TID: "default1", Queue: "push", Class: "Fetch", JID: "j2", Started: now,
			Took: 70 * time.Second, Outcome: queue.OutcomeRunning})
	t.Run("lists the last runs, the latest first", func(t *testing.T) {
		out := s.of(t).ok("h:1:kyu  default0  push   Deliver  j1   3s ago", "runs h:1:kyu")
		if strings.Index(out, "j2") > strings.Index(out, "j1") ||
			!strings.Contains(out, "1.2ms  retry") || !strings.Contains(out, "1m10s  running") {
			t.Error(out)
		}
		s.of(t).ok("1 to 1 of 2", "runs h --limit 1")
		s.of(t).ok(`"outcome": "retry"`, "runs --json")
	})
	t.Run("says which processes cannot tell", func(t *testing.T) {
		s.process("h:2:ruby")
		_, errs, code := s.of(t).run("runs")
		if code != 0 || !strings.Contains(errs, "h:2:ruby: Ruby's Sidekiq keeps no runs") ||
			strings.Contains(errs, "h:1:kyu") {
			t.Error(code, errs)
		}
	})
	t.Run("refuses what it does not know", func(t *testing.T) {
		s.of(t).fails(1, "process nobody: not found", "runs nobody")
		s.of(t).fails(2, "want one PROCESS", "runs a b")
	})
}
