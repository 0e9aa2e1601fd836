package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// scheduled runs a schedule until its entries are known.
func (s *terminal) scheduled(t *testing.T, entries ...cron.Entry) {
	t.Helper()
	store := s.redis.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{cron.Capability()}
	})
	x, err := cron.New(cron.Config{Store: store, Schedule: cron.Schedule{Entries: entries}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	testwait.Until(t, 10*time.Second, "the entries are known", func() bool {
		return s.raw.SCard(t.Context(), "kyu:cron").Val() == int64(len(entries))
	})
	stop()
	<-done
}

func TestCron(t *testing.T) {
	s := withRedis(t)
	s.scheduled(t, cron.Entry{Name: "my night", Cron: "0 3 * * *", TZ: "Asia/Tokyo", Class: "Night",
		Description: "At night."},
		cron.Entry{Name: "b", Every: time.Hour, Class: "B", Queue: "low"})
	t.Run("lists the entries", func(t *testing.T) {
		s.of(t).ok("my night  0 3 * * * Asia/Tokyo  Night  default", "cron")
		s.of(t).ok(`"state": "active"`, "cron --json")
		s.of(t).ok("\n1 to 1 of 2\n", "cron --limit 1")
	})
	t.Run("prints durations with their units", func(t *testing.T) {
		s := s.of(t)
		s.ok(`"every":"1h0m0s"`, "cron -o jsonl")
		s.ok(`"every": "1h0m0s"`, "cron show b --json")
		if out := s.ok("", "cron --json"); strings.Contains(out, "3600000000000") {
			t.Error(out)
		}
	})
	t.Run("pauses, resumes and runs an entry, and shows its history", func(t *testing.T) {
		s := s.of(t)
		s.ok("paused b", "cron pause b")
		s.ok("paused", "cron show b")
		s.ok("resumed b", "cron resume b")
		s.ok("pushed ", "cron run b")
		s.ok("by hand", "cron show b")
		s.ok(`"runs": [`, "cron show b --json")
		s.sizes(map[string]int64{"queue:low": 1})
	})
	t.Run("deletes only what no schedule has", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "its schedule still has it", "cron delete b")
		s.fails(1, "not found", "cron delete nobody")
		s.raw.HSet(t.Context(), "kyu:cron-owner:default", "names", "[]")
		s.ok("deleted b", "cron delete b")
	})
	t.Run("imports the entries of Ruby", func(t *testing.T) {
		s := s.of(t)
		s.raw.HSet(t.Context(), "schedules", "five", `{"cron":"*/5 * * * *","class":"A"}`)
		s.ok("cron: '*/5 * * * *'", "cron import")
		s.ok(`"beside": "sidekiq-scheduler"`, "cron import --json")
		s.raw.HSet(t.Context(), "schedules", "six", `{"every":"90s","class":"A"}`)
		s.ok(`"every": "1m30s"`, "cron import --json")
	})
	t.Run("refuses a wrong call", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "want the name of one entry", "cron pause")
		s.fails(2, "want show, pause", "cron stop b")
	})
}

func TestDoctorCron(t *testing.T) {
	s := withRedis(t)
	s.scheduled(t, cron.Entry{Name: "five", Cron: "*/5 * * * *", Class: "A",
		Beside: cron.SidekiqScheduler}, cron.Entry{Name: "often", Every: time.Minute, Class: "B",
		Beside: cron.SidekiqScheduler}, cron.Entry{Name: "old", Every: time.Minute, Class: "C"})
	ctx := t.Context()
	examine := func(t *testing.T) string {
		out, _, _ := s.of(t).run("doctor")
		return out
	}
	t.Run("is content with entries that are pushed", func(t *testing.T) {
		if out := examine(t); !strings.Contains(out, "3 entries, each with a process") {
			t.Error(out)
		}
	})
	t.Run("says what Ruby pushes too, and what to do", func(t *testing.T) {
		s.raw.HSet(ctx, "schedules", "five", `{"cron":"*/5 * * * *","class":"A"}`,
			"often", `{"every":"1m","class":"B"}`)
		out := examine(t)
		if !strings.Contains(out, "entry often is pushed by Kyu and by sidekiq-scheduler") ||
			!strings.Contains(out, "switch one side off") || strings.Contains(out, "entry five") {
			t.Error(out)
		}
		s.raw.HSet(ctx, "sidekiq-scheduler:states", "often", `{"enabled":false}`)
		if out := examine(t); strings.Contains(out, "entry often is pushed") {
			t.Error(out)
		}
		s.raw.HDel(ctx, "sidekiq-scheduler:states", "often")
		s.raw.HSet(ctx, "sidekiq-scheduler:next_times", "often", "2026-01-02 03:04:05 +0000")
		if out := examine(t); strings.Contains(out, "entry often is pushed") {
			t.Error("Ruby does not run it any more:", out)
		}
	})
	t.Run("finds orphans, wrong clocks and schedules without a process", func(t *testing.T) {
		s.raw.HSet(ctx, "kyu:cron-owner:default", "names", `["five","often"]`)
		s.raw.HSet(ctx, "kyu:cron:five", "last", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()))
		out := examine(t)
		for _, want := range []string{"entry old is in no schedule",
			"its last slot is in the future"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		s.raw.HSet(ctx, "kyu:cron-owner:default", "seen", "1000")
		if out := examine(t); !strings.Contains(out, "no process has pushed its schedule default") {
			t.Error(out)
		}
	})
}
