package main

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestMetrics(t *testing.T) {
	s := withRedis(t)
	m := &queue.ClassMetrics{}
	for range 3 {
		m.Add(15*time.Millisecond, false)
	}
	m.Add(0, true)
	err := s.redis.Store().FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"A": m},
		time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("lists the classes", func(t *testing.T) {
		s.of(t).ok("CLASS  RUNS  FAILED  TIME  MEAN\nA      4     1       45ms  15ms", "metrics")
		s.of(t).ok(`"class": "A"`, "metrics --since 72h --json")
	})
	t.Run("draws the times of a class", func(t *testing.T) {
		s.of(t).ok("20ms   3     █", "metrics A")
		s.of(t).ok(`"below_ms"`, "metrics A --since 8h --json")
	})
}
