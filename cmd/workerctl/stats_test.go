package main

import (
	"encoding/json"
	"testing"
)

func TestStats(t *testing.T) {
	s := withRedis(t)
	s.raw.Set(t.Context(), "stat:processed", 7, 0)
	s.raw.Set(t.Context(), "kyu:stat:expired", 3, 0)
	s.ok("", "push A")
	t.Run("prints a table", func(t *testing.T) { s.of(t).ok("PROCESSED  FAILED", "stats") })
	t.Run("prints the days that --days asks for", func(t *testing.T) {
		s.of(t).ok("DAY", "stats --days 2")
	})
	t.Run("prints JSON", func(t *testing.T) {
		var st struct {
			Processed, Enqueued, Expired int
			History                      []any
		}
		text := s.of(t).ok("", "stats --days 2 --json")
		if err := json.Unmarshal([]byte(text), &st); err != nil || st.Processed != 7 ||
			st.Enqueued != 1 || st.Expired != 3 || len(st.History) != 2 {
			t.Errorf("%v %s", err, text)
		}
	})
}
