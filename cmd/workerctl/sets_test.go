package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestSets(t *testing.T) {
	s := withRedis(t)
	for _, jid := range []string{"a", "b", "c", "d"} {
		s.store("retry", "A", jid)
	}
	s.store("schedule", "S", "later")
	s.store("dead", "D", "gone")
	t.Run("each command lists its own set", func(t *testing.T) {
		for line, want := range map[string]string{"retries": "E: boom", "retries list": "E: boom",
			"scheduled": "later", "dead": "gone", "dead --json": `"jid": "gone"`} {
			s.of(t).ok(want, line)
		}
	})
	t.Run("show prints all fields of a job", func(t *testing.T) {
		s.of(t).ok(`error_message  "boom"`, "retries show a")
		s.of(t).ok(`"class": "S"`, "scheduled show later --json")
		s.of(t).fails(1, "not found", "retries show nobody")
	})
	t.Run("reschedule moves the time", func(t *testing.T) {
		s.of(t).ok("reschedule a", "retries reschedule a --at 2033-05-18T03:33:20Z")
		s.of(t).ok("2033-05-18 03:33:20", "retries")
	})
	t.Run("retry, kill and delete take the jobs that are named", func(t *testing.T) {
		s := s.of(t)
		s.ok("retry a", "retries retry a")
		s.ok("kill b", "retries kill b")
		s.ok("delete c", "retries delete c")
		s.fails(1, "not found", "retries retry a")
		s.sizes(map[string]int64{"retry": 1, "dead": 2, "queue:default": 1, "schedule": 1})
	})
	t.Run("all jobs are changed only after a yes", func(t *testing.T) {
		s := s.of(t)
		s.input = "n\n"
		s.fails(1, "nothing was done", "dead delete --all")
		s.sizes(map[string]int64{"dead": 2})
		s.ok("delete: 2 jobs", "dead delete --all --yes")
		s.sizes(map[string]int64{"dead": 0, "retry": 1})
	})
}

func TestSetsOfOthers(t *testing.T) {
	s := withRedis(t)
	for rest, score := range map[string]float64{`"jid":"millis"`: 1763000000000,
		`"jid":"past"`: -1e300,
		`"jid":"lines","error_class":"E","error_message":"two\nlines"`: 5} {
		s.raw.ZAdd(t.Context(), "schedule",
			redis.Z{Score: score, Member: `{"class":"A","args":[],` + rest + `}`})
	}
	t.Run("JSON has jobs with times that are no dates", func(t *testing.T) {
		var list []row
		text := s.of(t).ok(`"at": "9999-12-31T23:59:59Z"`, "scheduled --json")
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 3 {
			t.Errorf("%v %s", err, text)
		}
	})
	t.Run("a message of two lines stays in its row", func(t *testing.T) {
		text := s.of(t).ok("E: two·lines", "scheduled")
		if n := strings.Count(text, "\n"); n != 5 {
			t.Errorf("%d lines:\n%s", n, text)
		}
	})
}

func (s *terminal) sizes(want map[string]int64) {
	s.Helper()
	for key, n := range want {
		if got := s.size(key); got != n {
			s.Errorf("%s has %d jobs, want %d", key, got, n)
		}
	}
}
