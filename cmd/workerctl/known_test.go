package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
)

func TestKnown(t *testing.T) {
	s := withRedis(t)
	s.ok("", "push A --queue full")
	s.process("h:1:one") // serves default and push
	s.store("kyu:hold:Later", "Later", "h1")
	s.raw.SAdd(t.Context(), "kyu:held", "Later")
	s.ran("Feed::Insert", 1, 0, time.Millisecond)
	s.scheduled(t, cron.Entry{Name: "night", Every: time.Hour, Class: "B"})
	t.Run("refuses names that do not exist, and says which do", func(t *testing.T) {
		for line, want := range map[string]string{
			"queue fuul":       "queue fuul: not found: did you mean full?; with --force",
			"queue elsewhere":  "queue elsewhere: not found: there are default, full, push; with",
			"held Latr":        "held jobs of the class Latr: not found: did you mean Later?",
			"metrics Feed::In": "class Feed::In: not found: did you mean Feed::Insert?",
			"cron pause nihgt": "pause entry nihgt: not found: did you mean night?",
			"cron show day":    "entry day: not found: there are night",
			"cron run day":     "entry day: not found: there are night",
		} {
			s.of(t).fails(1, want, line)
		}
	})
	t.Run("takes those that exist", func(t *testing.T) {
		s := s.of(t)
		s.ok("A ", "queue full")
		s.ok("JID", "queue push")
		s.ok("h1", "held Later")
		s.ok("BELOW", "metrics Feed::Insert")
		s.ok("JID", "queue new --force")
	})
	t.Run("lists ten names at most", func(t *testing.T) {
		s := s.of(t)
		for i := range 12 {
			s.raw.SAdd(t.Context(), "queues", fmt.Sprintf("q%02d", i))
		}
		s.fails(1, "there are default, full, push, q00, q01, q02, q03, q04, q05, q06, …",
			"queue elsewhere")
	})
}
