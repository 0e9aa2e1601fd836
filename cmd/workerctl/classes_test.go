package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// ran writes the metrics of runs of a class within this minute.
func (s *terminal) ran(class string, runs, failed int64, each time.Duration) {
	s.Helper()
	m := &queue.ClassMetrics{Processed: runs, Failed: failed,
		Millis: (runs - failed) * each.Milliseconds()}
	err := s.redis.Store().FlushMetrics(s.Context(), map[string]*queue.ClassMetrics{class: m},
		time.Now())
	if err != nil {
		s.Fatal(err)
	}
}

func TestClasses(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one") // runs a job of the class Slow, which began now
	s.ran("Fast", 20_000, 100, 100*time.Millisecond)
	t.Run("are listed by their shares", func(t *testing.T) {
		out := strings.Join(strings.Fields(s.of(t).ok("", "classes")), " ")
		for _, want := range []string{"Fast 100% 0 of 5 20000 100 <1% 100ms", " 1 of 5 ",
			" j 0 0"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		s.of(t).ok("1 to 1 of 2", "classes --limit 1")
	})
	t.Run("are JSON with units", func(t *testing.T) {
		s.of(t).ok(`"mean_seconds":0.1,"thread_seconds":1990,`, "classes -o jsonl")
	})
	t.Run("are refused for a time without metrics", func(t *testing.T) {
		s.of(t).fails(2, "at most 72h0m0s", "classes --since 73h")
		s.of(t).fails(2, "more than 0", "classes --since 0s")
	})
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0%", 0.001: "<1%", 0.015: "2%", 1: "100%"} {
		if got := percent(share); got != want {
			t.Errorf("%v: %q, want %q", share, got, want)
		}
	}
}
